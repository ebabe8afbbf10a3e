# Every target makes its own virtual environment first; plain pip and venv underneath.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The versions the tests were last seen green with; `make CONSTRAINTS= test` takes the newest.
CONSTRAINTS ?= -c .ci/constraints.txt

# The default tests run in this many processes, all tests of a file in the same one.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

.PHONY: demo test test-all check format docs picture wheel clean

demo: $(VENV)/.runtime  ## previews of the photographs in examples/, into dpt-out/
	$(BIN)/dpt depth examples -o dpt-out --model tiny

test: $(VENV)/.dev  ## the default tests: no network, no GPU, no published weights
	$(PYTEST)

test-all: $(VENV)/.dev  ## with the full-size networks too
	$(BIN)/python -m pytest --run-slow

check: $(VENV)/.dev  ## the whole gate: format, lint, types, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST)

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.dev  ## write the generated parts of README.md and docs/ again, and build the site in build/site
	$(BIN)/python tests/readme.py --write
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

picture: $(VENV)/.dev  ## make the picture at the top of README.md again
	$(BIN)/python docs/make_picture.py

wheel: $(VENV)/.dev
	$(BIN)/python -m build --wheel

clean:
	rm -rf $(VENV) build dist dpt-out .mypy_cache .pytest_cache .ruff_cache

$(VENV)/.runtime: pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) -e .
	touch $@

$(VENV)/.dev: pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) -e '.[dev]'
	touch $@
