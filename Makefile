# Needs Python 3.11 or newer and the package index; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= $(or $(COMOVE_DATA),data)
# rebuild and replay take the universe that the data folder was last made with, unless one is given
GIVEN = $(if $(UNIVERSE),--universe $(UNIVERSE))
UV_CACHE_DIR ?= $(CURDIR)/.cache/uv
export UV_CACHE_DIR
export PREFECT_HOME ?= $(CURDIR)/.cache/prefect
# where it is set, each process compiles all that it imports anew, which takes longer than the rest of its start
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo live serve test check format docs lock lock-check bench replay rebuild verify sql explore picture clean

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

$(VENV)/.explore: requirements-explore.lock $(VENV)/.core
	@echo "installing the notebook into $(VENV) ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-explore.lock
	@touch $@

$(VENV)/.test: requirements-test.lock $(VENV)/.core
	@echo "installing the test tools into $(VENV) ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-test.lock
	@touch $@

demo: $(VENV)/.core ## run the whole pipeline on the recorded samples
	@$(BIN)/python -m flows.refresh --universe samples/universe.toml --data $(DATA)

live: $(VENV)/.core ## run the whole pipeline on live sources
	@$(BIN)/python -m flows.refresh --universe $(or $(UNIVERSE),universe.toml) --data $(DATA)

serve: $(VENV)/.core ## Prefect server, worker and all deployments, on loopback (COMOVE_PORT, default 4200)
	@$(BIN)/python -m flows.bound flows.serve

test: $(VENV)/.test ## run the tests
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.test ## format, lint, types, spelling, generated docs, links, quick tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/codespell
	@$(BIN)/python -m flows.dictionary --check
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not slow"

format: $(VENV)/.test ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(VENV)/.core ## write the generated docs
	@$(BIN)/python -m flows.dictionary

# Each lock holds the one before it to its versions, so that one environment can have them all.
COMPILE = $(BIN)/uv pip compile -q --universal --generate-hashes --custom-compile-command "make lock" pyproject.toml
EXTRAS = --extra test --extra lake --extra dask --extra explore --extra fast --extra bench
LOCKS := requirements.lock requirements-test.lock requirements-explore.lock

lock: | $(BIN)/uv ## resolve the dependencies anew, with hashes (UPGRADE=1: at their newest)
	@$(COMPILE) $(if $(UPGRADE),--upgrade) -o requirements.lock
	@$(COMPILE) $(if $(UPGRADE),--upgrade) $(EXTRAS) -c requirements.lock -o requirements-test.lock
	@$(COMPILE) --extra explore -c requirements-test.lock -o requirements-explore.lock

lock-check: | $(BIN)/uv ## say whether the locks are those of pyproject.toml
	@mkdir -p .cache/lock && cp $(LOCKS) .cache/lock/
	@$(COMPILE) -o .cache/lock/requirements.lock
	@$(COMPILE) $(EXTRAS) -c requirements.lock -o .cache/lock/requirements-test.lock
	@$(COMPILE) --extra explore -c requirements-test.lock -o .cache/lock/requirements-explore.lock
	@for lock in $(LOCKS); do cmp -s $$lock .cache/lock/$$lock || { echo "$$lock is not that of pyproject.toml; run make lock" >&2; exit 1; }; done

bench: $(VENV)/.test ## side-by-side benchmarks
	@$(BIN)/python -m bench

replay: $(VENV)/.core ## what was known then (AS_OF=2025-10-08T21:00Z)
	@$(BIN)/python -m flows.replay $(AS_OF) $(GIVEN) --data $(DATA)

rebuild: $(VENV)/.core ## throw the warehouse away and rebuild it from the landing zone
	@$(BIN)/python -m flows.maintain rebuild $(GIVEN) --data $(DATA)

verify: $(VENV)/.core ## hash all that was landed and published again, name what is broken
	@$(BIN)/python -m flows.maintain verify --data $(DATA)

sql: $(VENV)/.core ## a read-only SQL shell on the newest publication
	@$(BIN)/python -m warehouse.shell --data $(DATA)

explore: $(VENV)/.explore ## a notebook on the newest publication, on loopback (COMOVE_EXPLORER_PORT, default 2718)
	@COMOVE_DATA=$(DATA) PYTHONPATH=. MARIMO_SKIP_UPDATE_CHECK=1 DO_NOT_TRACK=1 \
		$(BIN)/marimo run --host 127.0.0.1 --port $(or $(COMOVE_EXPLORER_PORT),2718) --no-sandbox report/notebook.py

picture: ## draw docs/page.png anew, of the page that make demo left (CHROMIUM, default chromium)
	@$(or $(CHROMIUM),chromium) --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1280,1365 \
		--virtual-time-budget=5000 --screenshot=$(CURDIR)/docs/page.png file://$(abspath $(DATA))/report/index.html 2>/dev/null

clean: ## remove the environment and the caches, never the data
	@rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
