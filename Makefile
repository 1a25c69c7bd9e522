# Everything a newcomer needs: `make demo` shows it, `make test` proves it.
PYTHON ?= python3
LONG ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help venv cloud demo test lint generate lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(READY) ## create .venv with the exporter and everything that the tests use

$(READY): requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "needs Python 3.11 or newer; say which: make PYTHON=python3.12")'
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements/dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

cloud: venv ## build the real Nova and Keystone that the tests run against, below .envs
	@$(BIN)/python tests/realcloud/envs.py

demo: venv ## serve the metrics of a simulated cloud on http://127.0.0.1:19180/
	@$(BIN)/openstack-migration-exporter demo

lint: venv ## check style and types
	@$(BIN)/ruff check .
	@$(BIN)/mypy

test: lint cloud ## run the tests; what was left out is named at the end. LONG=yes: those that take minutes, too
	@$(BIN)/python -m pytest --cov --cov-report=term $(if $(LONG),,-m "not long")

generate: venv ## write the generated pages of docs/ and the rules of deploy/prometheus/ anew
	@$(BIN)/python -m exporter.metrics.docs
	@$(BIN)/python -m tools.rules

lock: ## resolve the dependencies anew and write requirements/dev.lock
	@rm -rf $(VENV)-lock && $(PYTHON) -m venv $(VENV)-lock
	@$(VENV)-lock/bin/pip install --quiet --disable-pip-version-check '.[test,lint]' hatchling
	@$(VENV)-lock/bin/pip freeze --exclude openstack-migration-exporter > requirements/dev.lock
	@rm -rf $(VENV)-lock

clean: ## remove what these commands made
	@rm -rf $(VENV) .envs .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
