# Two commands matter: `make demo` and `make test`. Both set up .venv first.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: help setup demo test check notebooks cassettes lab bench clean

help:  ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

setup: $(STAMP)  ## .venv with everything pinned in constraints.txt

$(STAMP): pyproject.toml constraints.txt
	@echo "setting up $(VENV) (once; half a minute)"
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "syncops needs Python 3.11 or newer; set PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -E '^uv==' constraints.txt)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --constraints constraints.txt --editable '.[dev,postgres,fleet]'
	@touch $@

demo: setup  ## the whole story on the sandbox; prints where the report is
	@$(BIN)/syncops demo

test: setup check  ## everything CI runs
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests
	@$(BIN)/python -m pytest -q --nbval --nbval-cell-timeout 300 -p no:cacheprovider notebooks

check: setup  ## ruff, mypy, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

notebooks: setup  ## run the committed notebooks again and keep their outputs
	@$(BIN)/jupyter execute --inplace notebooks/*.ipynb
	@$(BIN)/nbstripout --keep-output --keep-count --extra-keys metadata.language_info notebooks/*.ipynb

cassettes: setup  ## plant every fault in the sandbox and record its diagnosis again
	@$(BIN)/python -m tests.support.record_cassettes

lab: setup  ## JupyterLab on the notebooks
	@$(BIN)/syncops lab

bench: setup  ## benchmarks, figures to stdout
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file; done

clean:  ## forget .venv and what was made
	rm -rf $(VENV) demo out .mypy_cache .ruff_cache .pytest_cache
