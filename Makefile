# Everything a newcomer needs: `make demo` shows it, `make test` proves it.
PYTHON ?= python3
LONG ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help venv cloud demo demo-stack test lint generate bench preview tour dist installed sbom lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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

demo-stack: venv ## the same with the Prometheus and the Alertmanager of this machine; QUICK=yes: alerts come sooner
	@$(BIN)/python -m tools.demostack $(if $(QUICK),--quick)

test: lint cloud ## run the tests; what was left out is named at the end. LONG=yes: those that take minutes, too
	@$(BIN)/python -m pytest --cov --cov-report=term $(if $(LONG),,-m "not long")

generate: venv ## write all that is generated anew: pages of docs/, rules, dashboards, what deploy/ has of them
	@$(BIN)/python -m exporter.metrics.docs
	@$(BIN)/python -m tools.reference
	@$(BIN)/python -m tools.rules
	@$(BIN)/python -m tools.dashboards
	@$(BIN)/python -m tools.demostack.silent
	@$(BIN)/python -m tools.manifests

bench: venv cloud ## measure what the exporter costs, beside how others do it; writes the tables of benchmarks/README.md
	@$(BIN)/python -m benchmarks

preview: venv ## pictures of the dashboards in build/preview/, drawn with Grafana's panel code; needs node, npm, chromium, prometheus
	@$(BIN)/python -m tools.preview $(if $(SERVE),--serve,--theme light --theme dark)

tour: venv cloud ## play the story of docs/tour.md on a real Nova and take its pictures in build/tour/
	@$(BIN)/python -m tests.tour

lock: ## resolve the dependencies anew and write requirements/dev.lock
	@rm -rf $(VENV)-lock && $(PYTHON) -m venv $(VENV)-lock
	@$(VENV)-lock/bin/pip install --quiet --disable-pip-version-check '.[test,lint]' hatchling
	@$(VENV)-lock/bin/pip freeze --exclude openstack-migration-exporter > requirements/dev.lock
	@rm -rf $(VENV)-lock

DIST ?= dist
INSTALLED ?= build/installed

dist: venv ## build the wheel and the source archive in dist/
	@rm -rf $(DIST)
	@$(BIN)/python -m hatchling build --directory $(DIST) >/dev/null

# The wheel in an environment of its own, with the versions of the lock and nothing else, not even an installer.
installed: dist
	@rm -rf $(INSTALLED) && $(BIN)/python -m venv --without-pip $(INSTALLED)
	@$(BIN)/python -m pip --python $(INSTALLED) install --quiet --disable-pip-version-check \
		--constraint requirements/dev.lock $(DIST)/*.whl

# The tool does not ask hatchling for the version.
sbom: installed ## write dist/sbom.cdx.json: what the exporter runs with, versions and licenses, as CycloneDX
	@sed "s/^dynamic = .*/version = \"$$($(BIN)/python -m hatchling version)\"/" pyproject.toml > $(INSTALLED)/pyproject.toml
	@$(BIN)/cyclonedx-py environment --pyproject $(INSTALLED)/pyproject.toml --output-reproducible \
		--output-file $(DIST)/sbom.cdx.json $(INSTALLED)/bin/python

clean: ## remove what these commands made
	@rm -rf $(VENV) .envs .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
