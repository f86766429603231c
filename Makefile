# `make` alone lists what can be done. Each target does its own set-up: a plain Debian with python3 and make is enough.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
VENV := .venv
READY := $(VENV)/ready
BIN := $(VENV)/bin
CORPUS ?= ../shared/data
CORE := not slow and not screens and not browser and not postgresql
export PYTHONUNBUFFERED := 1
unexport PYTHONDONTWRITEBYTECODE # what is compiled once starts in a third of the time afterwards

.PHONY: help demo run test core lint format translations migrations-check corpus bench bench-inbox bench-windows bench-reports bench-triage browser pictures clean

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name what; do printf '  make %-17s %s\n' "$$name" "$$what"; done

demo: $(READY) ## the whole thing on invented networks: open the address it prints
	@$(BIN)/python -m cli demo

run: $(READY) ## Gensvar with ./config.yaml
	@$(BIN)/python -m cli run

test: lint browser ## everything that says whether Gensvar works (needs no network)
	$(BIN)/pytest -q -n 2 --dist worksteal --tb=short -r fER --durations=10

core: $(READY) ## the quick tests of what lies behind the screens, on SQLite
	$(BIN)/pytest -q -n 2 -m "$(CORE)" --durations=5

lint: $(READY) ## style, formatting, types, walls between the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports --config setup.cfg --no-logo --no-cache

format: $(READY) ## bring the code into shape
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .

translations: $(READY) ## extract the texts of the screens, update the catalogues, say what is not translated
	$(BIN)/python -c "import sys; from web import translating; sys.exit(translating.main())"

migrations-check: $(READY) ## do the migrations lead to what models.py says, on both databases?
	$(BIN)/pytest -q tests/test_migrations.py

corpus: $(READY) ## recorded feeds, answers and conversations through the collectors (CORPUS=FOLDER)
	@test -d $(CORPUS)/feeds || { echo "There are no feeds in $(CORPUS): name the folder that has them, make corpus CORPUS=FOLDER." >&2; exit 1; }
	$(BIN)/python -m bench.corpus_feeds $(CORPUS)/feeds
	$(BIN)/python -m bench.corpus_wire $(CORPUS)/wire
	$(BIN)/python -m bench.corpus_threads $(CORPUS)/text/twcs_threads

bench: $(READY) ## memory and start-up time, what watch queries cost
	$(BIN)/python -m bench.idle
	$(BIN)/python -m bench.watch

bench-windows: $(READY) ## 200 open windows: processor, memory, how soon a mention shows
	$(BIN)/python -m bench.windows

bench-inbox: $(READY) ## what the inbox costs with 100,000 cases in it, on both databases
	$(BIN)/python -m bench.inbox

bench-reports: $(READY) ## what reports cost with 300,000 cases of three years behind them
	$(BIN)/python -m bench.reports

bench-triage: $(READY) ## how well the judges do on labelled texts of others (CORPUS=FOLDER)
	@test -d $(CORPUS)/text || { echo "There are no texts in $(CORPUS): name the folder that has them, make bench-triage CORPUS=FOLDER." >&2; exit 1; }
	$(BIN)/python -m bench.triage $(CORPUS)

pictures: $(READY) browser ## draw the pictures of the documentation anew
	$(BIN)/python -m tests.pictures

browser: $(READY) ## the browser some tests drive
	@bash .ci/need chromium

clean: ## remove what was built, keep var/
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.txt setup.cfg
	@bash .ci/need python
	@test -x $(BIN)/python || python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
