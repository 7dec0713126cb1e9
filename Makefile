# `make` alone prints the targets. The two that matter: `make up` and `make test`.
.DEFAULT_GOAL := help
.PHONY: help up demo doctor setup backfill stripe stripe-cli test explore chaos lint check bench bench-crowd bench-peers plans mutate audit lock clean

PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
RUN := $(VENV)/bin/python
STRIPE_CLI_VERSION := 1.50.11
STRIPE_CLI_FOLDER := .local/stripe-cli
STRIPE_CLI_INSTALLED := $(STRIPE_CLI_FOLDER)/node_modules/.bin/stripe
PEERS_VENV := .venv-peers
PEERS_STAMP := $(PEERS_VENV)/.installed
RESTATE_VERSION := 1.7.12
RESTATE_FOLDER := $(PEERS_VENV)/restate
RESTATE_STAMP := $(RESTATE_FOLDER)/.installed-$(RESTATE_VERSION)

help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(STAMP): requirements-dev.lock pyproject.toml
	@echo "Installing the locked dependencies into $(VENV) (about a minute the first time)"
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(RUN) -m pip install --disable-pip-version-check --no-deps --no-build-isolation --no-index --editable .
	@touch $@

up: $(STAMP) ## start everything on this machine; Ctrl-C stops it
	@exec $(RUN) -m local.up

demo: $(STAMP) ## one purchase, driven by itself, printed step by step
	@exec $(RUN) -m local.demo

doctor: $(STAMP) ## check settings and everything outside, and say what to do
	@exec $(VENV)/bin/fulfillment doctor $(ARGS)

setup: $(STAMP) ## register the webhook endpoint at Stripe: ARGS="--payment-link price_…"
	@exec $(VENV)/bin/fulfillment setup $(ARGS)

backfill: $(STAMP) ## fulfill what was sold since then: ARGS="--since 7d --dry-run"
	@exec $(VENV)/bin/fulfillment backfill $(ARGS)

# Installs Stripe's CLI unless there is one already (local/stripe_cli.py says which is taken).
stripe: $(STAMP) $(if $(STRIPE_CLI)$(shell command -v stripe),,$(STRIPE_CLI_INSTALLED)) ## Stripe's CLI against `make up`: ARGS="trigger checkout.session.completed"
	@exec $(RUN) -m local.stripe_cli $(ARGS)

stripe-cli: $(STRIPE_CLI_INSTALLED)

$(STRIPE_CLI_INSTALLED):
	@command -v npm >/dev/null || { echo "Stripe's CLI comes with npm, which is not there: install Node.js, or name a CLI in STRIPE_CLI" >&2; exit 1; }
	@echo "Installing Stripe's CLI into $(STRIPE_CLI_FOLDER)"
	@npm install --silent --no-audit --no-fund --prefix $(STRIPE_CLI_FOLDER) @stripe/cli@$(STRIPE_CLI_VERSION)

# Three at a time, each with servers of its own: half of a test is waiting. In the order of the files,
# not those of few tests last: these are the long ones, and the last of them would run alone.
test: $(STAMP) ## run all tests
	$(RUN) -m pytest -n 3 --dist loadfile --no-loadscope-reorder

explore: $(STAMP) ## draw other interleavings, reversals, requests and objects than `make test`, for long
	$(RUN) -m pytest tests/e2e/test_any_interleaving.py tests/e2e/test_any_reversals.py tests/fuzz --timeout 0 --hypothesis-profile=explore

chaos: $(STAMP) ## buy while everything breaks, then audit: ARGS="--seed 7 --minutes 60"
	@exec $(RUN) -m chaos.run $(ARGS)

lint: $(STAMP) ## ruff, mypy --strict, import contracts
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy .
	$(VENV)/bin/lint-imports

check: lint test ## lint, then test

bench: $(STAMP) ## speed beside a bare Temporal workflow, as ratios, and of pages
	$(RUN) -m benchmarks.run $(ARGS)

# What the peers need is no dependency of the service's, so it has a lock and a virtualenv of its own.
# Without npm there is no Restate server; the run says so, and compares the others.
bench-peers: $(STAMP) $(PEERS_STAMP) $(if $(shell command -v npm),$(RESTATE_STAMP)) ## speed and crashes beside task queues and engines; 20 minutes
	$(RUN) -m benchmarks.comparison.run $(ARGS)

$(PEERS_STAMP): benchmarks/peers/requirements.lock
	$(PYTHON) -m venv $(PEERS_VENV)
	$(PEERS_VENV)/bin/python -m pip install --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(RESTATE_STAMP): $(PEERS_STAMP)
	@npm install --silent --no-audit --no-fund --prefix $(RESTATE_FOLDER) @restatedev/restate-server@$(RESTATE_VERSION)
	@touch $@

bench-crowd: $(STAMP) ## 2,000 webhooks at once, and 10,000 orders that wait; half an hour
	$(RUN) -m benchmarks.crowd $(ARGS)

audit: $(STAMP) ## are there known vulnerabilities in what is locked?
	$(RUN) -m uv tool run --quiet pip-audit@2.10.1 --disable-pip --no-deps --requirement requirements.lock

mutate: $(STAMP) ## do the tests notice mutants of the core? ARGS="--sample 130 --seed 9", about an hour
	$(RUN) -m tests.mutation.run $(ARGS)

plans: $(STAMP) ## how PostgreSQL finds what is asked of it among 1,000,000 orders; ten minutes
	$(RUN) -m tests.database.plans

lock: $(STAMP) ## renew the lock files from pyproject.toml
	$(RUN) -m uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet --upgrade pyproject.toml -o requirements.lock
	$(RUN) -m uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet --upgrade -c requirements.lock pyproject.toml --group dev -o requirements-dev.lock
	$(RUN) -m uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet --upgrade benchmarks/peers/requirements.in -o benchmarks/peers/requirements.lock

clean: ## remove what `make up` keeps between runs
	rm -rf .local
