"""``python -m classifiers``, command by command: read params.yaml, call, print."""
