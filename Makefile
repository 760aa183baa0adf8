# Everything goes through tools/bootstrap.sh: it finds Python, makes .venv and installs what the
# command needs, once. Files of a run lie under var/.

BOOT := @sh tools/bootstrap.sh
DEV := $(BOOT) --dev
MANAGE := $(BOOT) manage.py
PYTEST_WORKERS ?= 2
EXCHANGE_URL ?= http://localhost:$(or $(PORT),3000)
PYTEST := $(BOOT) --dev --redis python -m pytest -n $(PYTEST_WORKERS)
# What must hold on every database beside what is written for that.
CONTRACT := tests/db_contract tests/integration/accounts/test_admin.py \
	tests/integration/accounts/test_sessions.py tests/integration/adminpanel/test_exchange_rows.py \
	tests/integration/exchange/test_failures.py tests/integration/markets/test_candle_store.py \
	tests/integration/orders/test_retention.py tests/integration/positions/test_rows.py \
	tests/integration/wallets/test_verify.py
CODE := accounts adminpanel common exchange markets orders positions riskengine wallets tradingplatform

.DEFAULT_GOAL := help
.PHONY: help run dev start build stop status reset doctor test test-here test-on-postgres test-on-mongo \
	test-mongo test-postgres test-unit test-watch test-coverage \
	test-ws ws-example ws-stress ws-admin test-integration test-functional check audit bench prove \
	seed migrate validate-env format lint lint-fix typecheck openapi asyncapi mutation crash-test requirements \
	hooks

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' Makefile

run: ## Run the whole platform until Ctrl-C (first time: installs, migrates, seeds)
	$(BOOT) --redis manage.py run_all

dev: ## As run, with debug logs and a web process that reloads changed code
	@LOG_LEVEL=$${LOG_LEVEL:-debug} sh tools/bootstrap.sh --redis manage.py run_all --reload

start: ## As run, in production mode (needs the variables that production needs)
	@NODE_ENV=production sh tools/bootstrap.sh --redis manage.py run_all

build: ## Collect static files and check the settings of a deployment
	$(MANAGE) collectstatic --no-input --verbosity 0
	$(MANAGE) check --deploy --fail-level WARNING

stop: ## Stop what make run started
	$(MANAGE) stop

status: ## Show processes, restarts and readiness
	$(MANAGE) status

reset: ## Delete database, keys and logs (asks; YES=1 does not)
	$(MANAGE) reset $(if $(YES),--yes)

doctor: ## Check everything a run needs and print remedies
	$(BOOT) manage.py doctor

seed: ## Make demo markets, users and balances (the exchange must run)
	$(MANAGE) seed

migrate: ## Bring the database to this version
	$(MANAGE) migrate

validate-env: ## Check the environment variables
	$(MANAGE) validate_env

test: test-on-postgres test-on-mongo test-here ## Run the tests, and what a database must do on each

test-here:
	$(PYTEST)

test-on-postgres:
	$(PYTEST) --ds=tests.settings_postgres $(CONTRACT)

# Each worker has a server of its own: SecantusDB 0.7.0b3 loses transactions of two (seen).
test-on-mongo:
	$(PYTEST) --ds=tests.settings_mongo tests/db_contract

test-postgres: ## Run the whole suite on PostgreSQL (starts one, or uses DATABASE_URL)
	$(PYTEST) --ds=tests.settings_postgres

test-mongo: ## Run the whole suite on MongoDB (starts one, or uses MONGODB_URI)
	$(PYTEST) --ds=tests.settings_mongo

test-unit: ## Run the tests that need neither servers nor processes
	$(PYTEST) tests/unit tests/property

test-integration: ## Run the integration tests
	$(PYTEST) tests/integration

test-functional: ## Run the journeys through real processes
	$(BOOT) --dev --redis python -m pytest tests/functional

test-ws: ## Run the WebSocket tests
	$(PYTEST) tests/unit/ws tests/integration/ws

ws-example: ## Show prices as they move (TOKEN=... also one's own orders)
	@PYTHONPATH=sdk/src EXCHANGE_URL=$(EXCHANGE_URL) sh tools/bootstrap.sh python sdk/examples/price_ticker.py

ws-stress: ## Many WebSocket clients: latency, gaps, drops (NUM_CLIENTS=100 TEST_DURATION=60)
	@PYTHONPATH=sdk/src EXCHANGE_URL=$(EXCHANGE_URL) sh tools/bootstrap.sh python tools/ws_stress.py

ws-admin: ## Live dashboard of operators (ADMIN_TOKEN=...)
	@PYTHONPATH=sdk/src EXCHANGE_URL=$(EXCHANGE_URL) sh tools/bootstrap.sh python tools/ws_admin.py

test-watch: ## Run the unit tests again whenever a file changes
	$(DEV) watchfiles --filter python "python -m pytest -x -q tests/unit" $(CODE) tests

test-coverage: ## Run the tests and report coverage
	$(PYTEST) --cov --cov-report=term --cov-report=html

check: ## Static checks: ruff, bandit, mypy, imports, migrations, drift of OpenAPI and AsyncAPI
	$(DEV) python tools/check.py

audit: ## Ask an advisory source about the pinned dependencies
	$(DEV) python tools/audit.py

lint: ## Lint
	$(DEV) ruff check .

lint-fix: ## Lint and repair
	$(DEV) ruff check --fix .

format: ## Format
	$(DEV) ruff format .

typecheck: ## Check types
	$(DEV) mypy $(CODE)
	$(DEV) mypy --config-file sdk/pyproject.toml sdk/src/tradingclient

openapi: ## Write docs/openapi.yaml anew
	$(DEV) manage.py spectacular --file docs/openapi.yaml --validate

asyncapi: ## Write docs/asyncapi.yaml anew
	$(DEV) manage.py asyncapi --file docs/asyncapi.yaml

bench: ## Measure, with references in the same run
	$(BOOT) --dev --redis python -m benchmarks

prove: ## The long proofs (hours): simulation, kills, searches, deployment; a table at the end
	$(BOOT) --dev --redis python -m simulation $(if $(ONLY),prove --only "$(ONLY)")

crash-test: ## A crash day with 10,000 accounts (CRASH_DATA=folder of recorded trades)
	$(DEV) python -m simulation.crash_test

mutation: ## Mutation score of exchange/core (hours; SAMPLE=300, SEED=, MINUTES=30 make it shorter)
	$(DEV) python tools/mutation.py $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES))

requirements: ## Compile the pinned requirements from pyproject.toml
	$(DEV) uv pip compile -q pyproject.toml --universal --python-version 3.11 -o requirements.txt
	$(DEV) uv pip compile -q pyproject.toml --extra mongodb --universal --python-version 3.11 \
		-o requirements-mongodb.txt
	$(DEV) uv pip compile -q pyproject.toml --group dev --universal --python-version 3.11 \
		-o requirements-dev.txt

hooks: ## Install the pre-commit hooks
	$(DEV) pre-commit install
