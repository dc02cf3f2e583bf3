# Every target sets up what it needs; a second run starts at once. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
RUN := PATH="$(CURDIR)/$(BIN):$$PATH"
UV := $(BIN)/uv --quiet
NPM := $(RUN) npm --prefix ui

services := $(shell find src/kinema/services src/kinema/model src/kinema/rpc src/kinema/core -name '*.py')
pages := $(shell find ui -path ui/node_modules -prune -o -path ui/dist -prune -o -path ui/src/api/generated -prune \
	-o -path ui/openapi -prune -o -type f -print)

.PHONY: help setup check test test-slow demo bench lock format clean
help:
	@echo "make demo       start a region with the demo catalogue"
	@echo "make setup      the environment in .venv, the pages in ui/dist"
	@echo "make check      ruff, mypy, import-linter, the pages' lint and types"
	@echo "make test       everything that CI runs"
	@echo "make test-slow  the full matrices and long runs"
	@echo "make bench      the figures, beside their peers"

# ---- the environment ------------------------------------------------------------------------------------------------

setup: .venv/.run ui/dist/index.html

.venv/.uv:
	@PYTHON="$(PYTHON)" bash scripts/prerequisites.sh
	@echo "Making .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8'
	@touch $@

# What running needs, in the versions of the lock. Bytecode is compiled here, so that the first start is as fast as the next.
.venv/.run: .venv/.uv requirements.lock pyproject.toml
	@echo "Installing Kinema and what it needs into .venv"
	@$(UV) pip install --python $(BIN)/python --compile-bytecode --constraint requirements.lock --editable .
	@$(BIN)/python -m compileall -q src
	@touch $@

# What building, checking and testing need besides.
.venv/.develop: .venv/.run
	@echo "Installing the tools for checks and tests into .venv"
	@$(UV) pip install --python $(BIN)/python --compile-bytecode --requirement requirements.lock
	@touch $@

.venv/.node: .venv/.uv scripts/node.sh
	@UV="$(UV)" bash scripts/node.sh
	@touch $@

# ---- the pages --------------------------------------------------------------------------------------------------------

ui/node_modules/.package-lock.json: .venv/.node ui/package.json ui/package-lock.json
	@echo "Installing what the pages are built with into ui/node_modules"
	@$(NPM) ci --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

# Other people's clients of our contracts, for the tests.
tests/clients/node_modules/.package-lock.json: .venv/.node tests/clients/package.json tests/clients/package-lock.json
	@echo "Installing the clients that the tests drive into tests/clients/node_modules"
	@$(RUN) npm --prefix tests/clients ci --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

.venv/.openapi: .venv/.run $(services)
	@$(BIN)/kinema openapi --out ui/openapi >/dev/null
	@touch $@

ui/dist/index.html: ui/node_modules/.package-lock.json .venv/.openapi $(pages)
	@echo "Building the pages into ui/dist"
	@$(NPM) run --silent build -- --logLevel warn
	@touch $@

# ---- what people call -------------------------------------------------------------------------------------------------

demo: setup
	@exec $(BIN)/kinema up --demo $(ARGS)

check: setup .venv/.develop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(NPM) run --silent check

test: setup .venv/.develop tests/clients/node_modules/.package-lock.json
	@bash scripts/debian.sh
	$(NPM) run --silent test
	$(BIN)/pytest -m "not slow" -n 2 --dist loadscope --no-loadscope-reorder $(ARGS)

test-slow: setup .venv/.develop tests/clients/node_modules/.package-lock.json
	@bash scripts/debian.sh
	$(BIN)/pytest -m slow $(ARGS)

bench: setup .venv/.develop
	@bash scripts/debian.sh
	$(BIN)/python -m benchmarks.http_edge
	$(BIN)/python -m benchmarks.http_gateway
	$(BIN)/python -m benchmarks.cache
	$(BIN)/python -m benchmarks.registry
	$(BIN)/python -m benchmarks.resilience
	$(BIN)/python -m benchmarks.push_connections
	$(BIN)/python -m benchmarks.first_play

lock: .venv/.uv
	$(UV) pip compile --group dev pyproject.toml --no-emit-index-url --no-header --universal --python-version 3.11 -o requirements.lock

format: .venv/.develop
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv ui/node_modules ui/dist ui/openapi ui/src/api/generated build
