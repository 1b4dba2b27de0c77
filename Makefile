# `make demo` and `make test` set up everything they need in .venv and run.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo test lint format clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt scripts/set_up.sh
	PYTHON="$(PYTHON)" VENV="$(VENV)" sh scripts/set_up.sh
	touch $(READY)

demo: $(READY)
	$(BIN)/isotau run examples/data/go_nogo_N200.mat --out isotau-out/demo

test: $(READY)
	$(BIN)/python -m pytest --pyargs tests

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist src/*.egg-info
