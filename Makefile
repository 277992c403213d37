# kyara: `make repro` sets up and runs the main job on the demo cast; `make test` sets up and tests.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
# Stages call `python`: the environment's must come first.
export PATH := $(abspath $(BIN)):$(PATH)
PYTEST := $(BIN)/python -m pytest

.PHONY: help setup setup-all data repro study tables back test test-all check bench lock compare-lock clean

help:
	@echo "make setup         the core environment in $(VENV) (no torch)"
	@echo "make setup-all     everything: neural extractors, collection, clusters, test tools"
	@echo "make repro         set up, get the demo cast, run the pipeline, print the tables"
	@echo "make study DIR=...  the same on your own folder of <label>/*.png (POSITIVE=label)"
	@echo "make tables        every table anew from shared rows, without images (docs/replication.md)"
	@echo "make back          undo an experiment: params, results and data as they are in the last commit"
	@echo "make test          set up and run every test but the slow ones; make test-all runs those too"
	@echo "make check         ruff, mypy, import-linter"
	@echo "make bench         every benchmark, as ratios side by side: some two hours; stopped, it goes on where it was"
	@echo "make compare-lock  how far this machine's results lie from the committed ones"
	@echo "make lock          compile requirements/*.lock anew"
	@echo "make clean         remove the environment and everything that can be made again"

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "kyara needs Python 3.11 or newer; make PYTHON=python3.12 ..."; exit 4; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.core: requirements/core.lock | $(BIN)/uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/core.lock
	@touch $@

$(VENV)/.all: requirements/all.lock | $(BIN)/uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/all.lock
	@touch $@ $(VENV)/.core

# What the store is measured beside has an environment of its own, so that what it stands on changes nothing.
$(VENV)/bench/.done: requirements/bench.lock | $(BIN)/uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)/bench
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(VENV)/bench/bin/python --require-hashes -r requirements/bench.lock
	@touch $@

setup: $(VENV)/.core
	@$(BIN)/python -m extractors doctor --quiet

setup-all: $(VENV)/.all
	@$(BIN)/python -m extractors doctor --quiet

# Never touches images that are already there.
data:
	@test -d data/images || $(BIN)/dvc pull --quiet -r demo data.dvc

repro: setup data
	$(BIN)/dvc repro
	@$(BIN)/python -m classifiers show

study: setup
	@test -n "$(DIR)" || { echo "usage: make study DIR=path/to/folder [POSITIVE=label]"; exit 2; }
	$(BIN)/python -m collection import "$(DIR)" --replace $(if $(POSITIVE),--positive "$(POSITIVE)")
	$(BIN)/dvc repro
	@$(BIN)/python -m classifiers show
	@echo 'commit it before experiments, which compare with the last commit: git commit -am "My pictures"'

tables: setup
	for command in train evaluate audit compare explain findings report; do \
	  $(BIN)/python -m classifiers $$command > /dev/null || exit $$?; done
	@$(BIN)/python -m classifiers show

# git believes a file of the same length unchanged after `dvc exp run -S seed=43`; a new time stamp makes it look.
# The demo cast is in no cache yet where a clone began with pictures of one's own, and nor are its outputs.
back: setup
	@kept=$$(mktemp) && cp data.dvc $$kept && git restore data.dvc && $(BIN)/dvc fetch --quiet -r demo data.dvc; \
	$(BIN)/dvc checkout data.dvc; code=$$?; test $$code = 0 || cp $$kept data.dvc; rm -f $$kept; \
	test $$code = 0 || { \
	  echo "data/ holds files that no commit has: nothing was changed. Keep them on a branch (git switch -c mine; dvc add data;"; \
	  echo "git commit -m mine data.dvc; git switch -), move them away, or give them up (git restore data.dvc;"; \
	  echo "dvc checkout --force data.dvc); then: make back"; exit 3; } >&2
	@touch params.yaml
	git restore .
	$(BIN)/dvc checkout --force --allow-missing dvc.yaml

test: setup-all
	$(PYTEST) -n 2

test-all: setup-all
	$(PYTEST) -n 2 -m "not gpu and not weights and not network"

check: setup-all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup-all data $(VENV)/bench/.done
	$(BIN)/dvc repro --quiet
	$(BIN)/python benchmarks/all.py

lock: | $(BIN)/uv
	for name in core all bench; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-header requirements/$$name.in -o requirements/$$name.lock; done

compare-lock: setup
	@$(BIN)/python -m classifiers compare-lock

clean:
	rm -rf $(VENV) features.h5 edits.parquet learned model dataset.csv .params-ok build *.egg-info *.damaged
	find features weights -mindepth 1 ! -name .gitkeep -delete
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -exec rm -rf {} +
