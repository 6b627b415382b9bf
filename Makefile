# Everything happens in .venv, which `make setup` builds from pinned and hashed packages.
# Python alone is enough: the Java runtime and Kafka's jars come as packages.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(or $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$p && break; done),python3)
VENV := .venv
BIN := $(VENV)/bin
# Warnings off: setuptools has one about every editable installation.
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test setup lint format lock sbom audit clean

demo: setup ## Start a real Kafka and watch a breach become an arrest task
	@$(BIN)/breachwatch demo $(DEMO_OPTIONS)

# Two files at a time, each with a Kafka of its own: most tests wait rather than compute. Those that break things have
# the machine for themselves, with three brokers and more processes than it has cores, and so have those that time
# frames. In the order of folders: the longest files would come last, since they have the fewest tests.
test: setup ## Every test, on a real Kafka that the tests start
ifdef TEST_OPTIONS
	@$(BIN)/python -m pytest $(TEST_OPTIONS)
else
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --ignore tests/faults --ignore tests/browser
	@$(BIN)/python -m pytest tests/browser tests/faults
endif

setup: $(VENV)/.installed

$(VENV)/.installed: requirements.txt pyproject.toml
	@$(PYTHON) -c '$(NEW_ENOUGH)' 2>/dev/null || \
	  { echo "breachwatch needs Python 3.11 or newer: install it (on Debian and Ubuntu: python3 and python3-venv)," \
	  "or say where it is: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "$(PYTHON) lacks venv: on Debian and Ubuntu install the package python3-venv" >&2; exit 1; }
	@echo "setting up .venv, once: pinned packages, hashes checked; a minute or two ..." >&2
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes -r requirements.txt >&2
	@$(PIP) --no-deps --no-build-isolation --editable . >&2
	@touch $@

lint: setup
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: setup
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

# Without index or find-links lines: a lock says what, never where from. What the image has, and what builds it, are
# locks of their own, at the versions that the tests ran with.
COMPILE := env -u PIP_FIND_LINKS CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes \
  --strip-extras --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links
lock: setup
	@$(COMPILE) --extra local --extra test --extra dev -o requirements.txt pyproject.toml
	@$(COMPILE) --constraint requirements.txt -o deploy/container/requirements.txt pyproject.toml
	@$(COMPILE) --constraint requirements.txt --only-build-deps --build-deps-for wheel \
	  -o deploy/container/build.txt pyproject.toml

# What a release and its image are made of, from their locks, as CycloneDX. The command checks it against CycloneDX's schema, and writes
# nothing that does not pass.
SBOM ?= build
CYCLONEDX = $(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --sv 1.6 --validate
sbom: setup
	@mkdir -p $(SBOM)
	@{ $(CYCLONEDX) -o $(SBOM)/sbom.json requirements.txt && \
	   $(CYCLONEDX) -o $(SBOM)/sbom-image.json deploy/container/requirements.txt; \
	} 2> $(SBOM)/sbom.log || { cat $(SBOM)/sbom.log >&2; exit 1; }

# Known vulnerabilities of what is in the lock, by a service outside. With --strict, since a package that the service
# does not know counts as sound without (2.10.1).
audit: setup
	@$(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements.txt

clean:
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build *.egg-info
