# Two commands matter: `make demo` and `make test`. Both set everything up on a fresh machine.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test lint format bench generated clean
.DEFAULT_GOAL := test

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: $(READY)            ## make a clip, propagate a mask through it, score it, draw it
	$(BIN)/mugvos demo

test: lint                ## lint, types, all tests
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)           ## every benchmark that runs without a GPU; prints tables
	for b in benchmarks/bench_*.py benchmarks/evaluate.py; do $(BIN)/python $$b || exit 1; done

generated: $(READY)       ## completions/ and man/, from the app itself
	$(BIN)/python -m mugvos_cli.manual

clean:
	rm -rf $(VENV) build dist runs .pytest_cache .mypy_cache .ruff_cache
