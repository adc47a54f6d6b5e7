# Two commands matter: `make demo` and `make test`. Both set everything up on a fresh machine.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test lint format bench generated crash fuzz clean
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
	$(BIN)/python tests/dependency_audit.py

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)           ## every benchmark that runs without a GPU; prints tables
	for b in benchmarks/bench_*.py benchmarks/evaluate.py; do $(BIN)/python $$b || exit 1; done

generated: $(READY)       ## completions/ and man/, from the app itself
	$(BIN)/python -m mugvos_cli.manual

crash: $(READY)           ## 100 kills of every command that writes, full disks, signals; KILLS=n for others
	OMP_NUM_THREADS=1 $(BIN)/python tests/crash/campaign.py --kills $(or $(KILLS),100) --adversity

fuzz: $(READY)            ## a million hostile inputs; N=n for others; guided by coverage where atheris is installed
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/fuzz.py --runs $(or $(N),1000000)

clean:
	rm -rf $(VENV) build dist runs .pytest_cache .mypy_cache .ruff_cache
