# `make demo` and `make test` set up everything they need in .venv and run.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo test test-all lint format clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt scripts/set_up.sh
	PYTHON="$(PYTHON)" VENV="$(VENV)" sh scripts/set_up.sh
	touch $(READY)

demo: $(READY)
	$(BIN)/isotau run examples/data/go_nogo_N200.mat --out isotau-out/demo

# Two processes of one thread each: more of either get in each other's way on two cores.
JOBS ?= 2
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest \
	-n $(JOBS) --dist worksteal

test: $(READY)
	$(PYTEST) -m "not long"

test-all: $(READY)
	$(PYTEST)

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist src/*.egg-info
