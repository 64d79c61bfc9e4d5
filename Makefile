# Chores. None of them is needed to use or test gridcnn: see README.md for that.
PYTHON ?= python3
BIN := .venv/bin
ifneq ($(wildcard ../shared/data),)
export GRIDCNN_DATA ?= $(abspath ../shared/data)
endif

.PHONY: setup test test-all test-lowest test-slow test-long test-cluster check format docs site bench fuzz clean

setup: ## an environment with everything that work on gridcnn needs
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable ".[test,check]" build

test: ## the default suite
	$(BIN)/python -m pytest

test-all: ## the default suite on every Python from 3.11 on that this machine has
	@set -e; for version in 3.11 3.12 3.13 3.14; do \
		for python in python$$version $(HOME)/.pyenv/versions/$$version*/bin/python; do \
			if $$python --version >/dev/null 2>&1; then \
				echo "== $$($$python --version)"; \
				$$python -m venv .venv-$$version; \
				.venv-$$version/bin/python -m pip install --quiet --editable ".[test]"; \
				.venv-$$version/bin/python -m pytest -q; \
				break; \
			fi; \
		done; \
	done

test-lowest: ## the default suite with the lowest versions that pyproject.toml allows
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --editable ".[test]" --constraint tests/lowest.txt
	.venv-lowest/bin/python -m pytest -q

test-slow: ## what takes seconds each: the code of every page, whole runs, other instruction sets
	$(BIN)/python -m pytest tests -m "slow and not long"

test-long: ## thousands of random networks, others each time, and whole trainings on real data
	$(BIN)/python -m pytest tests -m long --hypothesis-profile=others

test-cluster: ## real clusters of Ray on this machine; takes memory and minutes
	$(BIN)/python -m pip install --quiet --editable ".[test,cluster]"
	$(BIN)/python -m pytest tests -m cluster -n 0

check: ## lint, format, types, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format:
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: ## write the generated pages anew
	$(BIN)/python -m docs.reference

site: ## the pages as a site, in build/site; makes real runs for its gallery
	$(BIN)/python -m pip install --quiet --editable ".[site,onnx,serve,tune]"
	$(BIN)/python -m mkdocs build --strict

bench: ## timings of start-up, and of a whole run; against peers: python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.xo

MINUTES ?= 10
fuzz: ## search for inputs out of which anything but our own errors comes, so many MINUTES in all
	@test -x $(BIN)/python || $(MAKE) setup
	@$(BIN)/python -c "import atheris" 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --editable ".[fuzz]" >/dev/null 2>&1 || true
	$(BIN)/python -m fuzz --minutes $(MINUTES)

clean:
	rm -rf .fuzz .venv .venv-* build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
