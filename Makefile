# Two commands to know: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
SERVE ?= 1
# One more than cores, as each waits for servers and databases.
WORKERS := $(shell expr 1 + $$(getconf _NPROCESSORS_ONLN))
PACKAGES := content_catalog features recommender infra jobs api simulator client/xuelu_client

.PHONY: help install demo test check lint types contracts docs openapi pictures format lock clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install: .venv/run.stamp ## install xuelu into .venv, with the command `xuelu`
	@echo 'xuelu is installed in .venv. Next: export PATH="$$PWD/.venv/bin:$$PATH"; xuelu --help'

demo: .venv/run.stamp ## simulate an organisation, make its push lists, show three and serve them (SERVE=0: do not serve)
	@$(BIN)/python -m jobs.demo $(if $(filter 0,$(SERVE)),,--serve)

# Files in their order: by the number of their tests, pages and notebooks, few and long, would come last and alone.
# Byte code is written whatever the shell says: each worker and each command would compile all modules again.
# BLAS and OpenMP have one thread, as in a night: those of several workers would wait for each other.
test: .venv/dev.stamp ## every test: unit, contracts, doctests, properties, PostgreSQL, notebooks
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -p no:cacheprovider --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder $(COVERAGE) tests $(PACKAGES)

check: COVERAGE = --cov --cov-report=term
check: lint types contracts docs test ## all that CI runs: the tests with their coverage

lint: .venv/dev.stamp ## style of the code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/dev.stamp ## types of the code
	$(BIN)/mypy

contracts: .venv/dev.stamp ## which package may import which
	$(BIN)/lint-imports

docs: .venv/dev.stamp ## the documentation as pages in site/
	$(BIN)/mkdocs build --strict --quiet

openapi: .venv/dev.stamp ## write docs/reference/openapi.json anew, after a change of routes
	$(BIN)/python -m api.openapi docs/reference/openapi.json

pictures: .venv/dev.stamp ## take the pictures of the console in the docs again (needs Chromium)
	$(BIN)/python -m pytest -p no:cacheprovider -q tests/api/console/test_in_browser.py --screenshots site/pictures
	cp site/pictures/en-1280/console*.png site/pictures/zh-CN-1280/console-organisations.png docs/assets/console/

format: .venv/dev.stamp ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## resolve the dependencies anew (needs uv)
	uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 pyproject.toml -o requirements.lock
	uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 --extra dev --extra otel -c requirements.lock pyproject.toml -o requirements-dev.lock

clean: ## remove what the targets made
	rm -rf .venv demo site

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed; name one: make PYTHON=python3.11 …" >&2; exit 2; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "error: $(PYTHON) cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 2; }

.venv/run.stamp: requirements.lock pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -c 'import lightgbm' || { echo "error: LightGBM needs the OpenMP runtime; on Debian: apt-get install libgomp1" >&2; exit 2; }
	@touch $@

.venv/dev.stamp: requirements-dev.lock .venv/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable client
	@touch $@
