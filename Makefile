# Everything a person types: `make run`, `make test`, `make check`, `make audit`, `make bench`.
# A second run is quick: each step leaves a stamp and is repeated when what it came from has changed.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.PHONY: run test check audit bench lock clean install install-dev compiled system-test

PORT ?= 8000
PYTHON ?= python3
BIN := .venv/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet
SERVED := portal/static/vendor/htmx.js

# --- what people call -------------------------------------------------------------------------------------------

run: install
	$(BIN)/portal demo --port $(PORT)
	exec $(BIN)/portal up --port $(PORT) --catch-mail

test: install-dev system-test
	$(BIN)/python -m tests.support.matrix $(TESTS)

check: install-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: install-dev
	$(BIN)/python -m tests.support.audit

bench: install-dev
	bash tests/support/need.sh --optional bench
	$(BIN)/python -m tests.bench $(TARGETS)

# --- installing -------------------------------------------------------------------------------------------------

install: .venv/.installed compiled $(SERVED)

install-dev: .venv/.installed-dev .venv/.installed-maintnote compiled node_modules/axe-core/package.json $(SERVED)

system-test:
	bash tests/support/need.sh test

$(BIN)/python:
	bash tests/support/need.sh python
	$(PYTHON) -m venv .venv

.venv/.installed: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing the Python packages …"
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	touch $@

.venv/.installed-dev: requirements-dev.lock .venv/.installed
	@echo "Installing the Python packages of the tests …"
	$(PIP) --require-hashes -r requirements-dev.lock
	touch $@

# Whoever runs it may not be allowed to write here, or to write what Python makes of our files: then each start would
# make it anew, which takes a quarter of it. What has not changed is passed over.
compiled: .venv/.installed
	$(BIN)/python -m compileall -q portal workers

# A program that needs older packages than ours: in a folder of its own, for the one test that runs it.
.venv/.installed-maintnote: tests/support/maintnote.lock .venv/.installed-dev
	@echo "Installing a reader of maintenance notes …"
	rm -rf .venv/maintnote
	$(PIP) --require-hashes --no-deps --target .venv/maintnote -r tests/support/maintnote.lock
	touch $@

$(SERVED): package.json package-lock.json portal/static/vendor.mjs
	bash tests/support/need.sh node
	@echo "Installing the front-end packages …"
	npm ci --omit=dev --no-progress --loglevel=error
	node portal/static/vendor.mjs
	touch $@

node_modules/axe-core/package.json: package.json package-lock.json portal/static/vendor.mjs
	bash tests/support/need.sh node
	@echo "Installing the front-end packages of the tests …"
	npm ci --no-progress --loglevel=error
	node portal/static/vendor.mjs
	touch $@ $(SERVED)

# --- keeping house ----------------------------------------------------------------------------------------------

# Writes both lock files anew from pyproject.toml, with hashes; needs pip-tools.
LOCK := pip-compile --quiet --upgrade --all-build-deps --allow-unsafe --generate-hashes --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

lock:
	$(LOCK) --output-file=requirements.lock pyproject.toml
	$(LOCK) --extra=dev --constraint=requirements.lock --output-file=requirements-dev.lock pyproject.toml

clean:
	rm -rf .venv node_modules portal/static/vendor .*_cache .hypothesis *.egg-info
