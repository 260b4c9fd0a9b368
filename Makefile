# The front door. `make` alone lists the targets; `make demo` and `make test` set everything up by themselves.
SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
# One more than there are cores: many tests wait for real processes most of their time.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# Neighbours stay together, since they share servers; who is done takes half of what another has before it.
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
# Hundreds of Python processes are started: where an image says otherwise, each would compile the sources again.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help setup servers demo demo-terraform test prove chaos soak lint types format bench clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Made anew only when what is pinned or declared has changed, so a second run costs one comparison of times.
$(READY): pyproject.toml .ci/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "keyturn needs Python 3.11 or newer; say which with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "setting up $(VENV) (once, about half a minute)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint .ci/constraints.txt pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint .ci/constraints.txt \
		--build-constraint .ci/constraints.txt --editable '.[demo,manifest]' --group dev
	@touch $@

setup: $(READY)  ## make the virtual environment with the pinned dependencies

# Tried once; without them the tests that need them are skipped, and say so.
$(VENV)/servers: $(READY) .ci/servers
	@.ci/servers
	@touch $@

servers: $(VENV)/servers  ## install PostgreSQL and Redis for the tests where they lack (as root on Debian)

demo: $(READY)  ## rotate a secret under load on this machine and watch every worker follow
	@$(BIN)/keyturn demo $(ARGS)

demo-terraform: $(READY)  ## apply the Terraform module to a local cloud and watch a service follow (needs terraform)
	@$(BIN)/python -m tests.terraform.demo

test: $(READY) $(VENV)/servers  ## run the tests
	@$(PYTEST) $(ARGS)

# Without pytest's log capture, which would keep every entry of a million requests.
prove: $(READY) $(VENV)/servers  ## test the properties with a million requests and more (half an hour and longer)
	@$(PYTEST) -p no:logging --timeout=0 --hypothesis-profile=prove tests/properties $(ARGS)
	@$(PYTEST) -m long -rP tests $(ARGS)

chaos: $(READY)  ## kill and stop processes of three instances for five minutes (ARGS="--seed 7 --seconds 60")
	@$(BIN)/python -m tests.chaos.run $(ARGS)

soak: $(READY)  ## rotate once a second for twenty minutes and watch memory and open files (ARGS="--seconds 60")
	@$(BIN)/python -m tests.chaos.soak $(ARGS)

lint: $(READY)  ## check style and form
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY)  ## check the types
	@$(BIN)/mypy

format: $(READY)  ## put the sources into form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(READY) .bench/peers/ready  ## measure what each path costs, beside its floor (ONLY=regex for some)
	@$(BIN)/python benchmarks/run.py $(if $(ONLY),--only '$(ONLY)') $(ARGS)

# The caches that one would otherwise take; without them (no network, say) their rows are left out.
.bench/peers/ready: benchmarks/peers.txt
	@rm -rf .bench/peers && mkdir -p .bench
	@$(PYTHON) -m venv .bench/peers && .bench/peers/bin/python -m pip install --quiet --requirement benchmarks/peers.txt \
		&& touch $@ || { rm -rf .bench/peers; echo "the peers could not be installed; their rows are left out" >&2; }

clean:  ## remove what the targets made
	@rm -rf $(VENV) .bench .terraform-check .hypothesis .mypy_cache .pytest_cache .ruff_cache
