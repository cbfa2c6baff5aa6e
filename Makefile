# Needs Python 3.11 or newer and the package index; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= $(or $(COMOVE_DATA),data)
UNIVERSE ?= universe.toml
UV_CACHE_DIR ?= $(CURDIR)/.cache/uv
export UV_CACHE_DIR
export PREFECT_HOME ?= $(CURDIR)/.cache/prefect

.DEFAULT_GOAL := help
.PHONY: help demo live serve test check format docs lock lock-check bench replay rebuild verify sql clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "comove needs Python 3.11 or newer; run make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.core: requirements.lock | $(BIN)/uv
	@echo "installing into $(VENV) ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.test: requirements-test.lock $(VENV)/.core
	@echo "installing the test tools into $(VENV) ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-test.lock
	@touch $@

demo: $(VENV)/.core ## run the whole pipeline on the recorded samples
	@$(BIN)/python -m flows.refresh --universe samples/universe.toml --data $(DATA)

live: $(VENV)/.core ## run the whole pipeline on live sources
	@$(BIN)/python -m flows.refresh --universe $(UNIVERSE) --data $(DATA)

serve: $(VENV)/.core ## Prefect server, worker and all deployments, on loopback (COMOVE_PORT, default 4200)
	@$(BIN)/python -m flows.serve

test: $(VENV)/.test ## run the tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(VENV)/.test ## format, lint, types, tests, generated docs current
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m flows.dictionary --check
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

format: $(VENV)/.test ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(VENV)/.core ## write the generated docs
	@$(BIN)/python -m flows.dictionary

lock: | $(BIN)/uv ## resolve the dependencies anew, with hashes
	@$(BIN)/uv pip compile -q --universal --generate-hashes --custom-compile-command "make lock" pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile -q --universal --generate-hashes --custom-compile-command "make lock" --extra test --extra lake --extra dask --extra explore --extra bench -c requirements.lock pyproject.toml -o requirements-test.lock

lock-check: | $(BIN)/uv ## say whether the lock is that of pyproject.toml
	@mkdir -p .cache/lock && cp requirements.lock requirements-test.lock .cache/lock/
	@$(BIN)/uv pip compile -q --universal --generate-hashes --custom-compile-command "make lock" pyproject.toml -o .cache/lock/requirements.lock
	@$(BIN)/uv pip compile -q --universal --generate-hashes --custom-compile-command "make lock" --extra test --extra lake --extra dask --extra explore --extra bench -c requirements.lock pyproject.toml -o .cache/lock/requirements-test.lock
	@cmp -s requirements.lock .cache/lock/requirements.lock && cmp -s requirements-test.lock .cache/lock/requirements-test.lock || { echo "the lock is not that of pyproject.toml; run make lock" >&2; exit 1; }

bench: $(VENV)/.test ## side-by-side benchmarks
	@$(BIN)/python -m bench

replay: $(VENV)/.core ## what was known then (AS_OF=2025-10-08T21:00Z)
	@$(BIN)/python -m flows.replay $(AS_OF) --universe $(UNIVERSE) --data $(DATA)

rebuild: $(VENV)/.core ## throw the warehouse away and rebuild it from the landing zone
	@$(BIN)/python -m flows.maintain rebuild --data $(DATA)

verify: $(VENV)/.core ## hash all that was landed and published again, name what is broken
	@$(BIN)/python -m flows.maintain verify --data $(DATA)

sql: $(VENV)/.core ## a read-only SQL shell on the newest publication
	@$(BIN)/python -m warehouse.shell --data $(DATA)

clean: ## remove the environment and the caches, never the data
	@rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
