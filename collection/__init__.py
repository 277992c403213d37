"""How images come in. Outside the pipeline: it writes ``data/`` and nothing else."""
