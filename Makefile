# make grid: everything from nothing; make help: the rest. PYTHON, OUT, PORT and ARGS can be given.
PYTHON ?= python3
OUT ?= outputs
PORT ?= 5000
ARGS ?=
export OUT  # recipes read it as "$$OUT", whatever letters it has
BIN := .venv/bin
READY := .venv/.installed

.PHONY: help grid plan tune report sync test quick lint audit ui dashboard clean

help:  ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

grid: $(READY)  ## run the comparison matrix on the embedded data (8 to 10 minutes on 2 cores)
	$(BIN)/python runs.py --grid --out "$$OUT" $(ARGS)

plan: $(READY)  ## what --grid would do, and what it would cost
	$(BIN)/python runs.py --plan --out "$$OUT" $(ARGS)

tune: $(READY)  ## tune loss parameters, class weights and learning rate
	$(BIN)/python runs.py --tune --out "$$OUT" $(ARGS)

report: $(READY)  ## write the report of a study
	$(BIN)/python runs.py --report --out "$$OUT" $(ARGS)

sync: $(READY)  ## send MLflow what it is missing of a study
	$(BIN)/python runs.py --sync --out "$$OUT" $(ARGS)

test: $(READY)  ## the test suite, under 5 minutes on 2 cores
	$(BIN)/python -m pytest -n 2 --dist loadfile

quick: $(READY)  ## the tests that are not slow
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

lint: $(READY)  ## the formatter, the linter, the types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

audit: $(READY)  ## known vulnerabilities of the installed packages; needs a network, says so without
	-@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[audit]'
	@$(BIN)/python .ci/audit.py

ui: $(READY)  ## the MLflow UI on this machine, over OUT/mlflow.db
	@test -f "$$OUT/mlflow.db" \
	  || { echo "$$OUT/mlflow.db must exist, got none; run make grid first, or give OUT=..."; exit 2; }
	@echo 'open http://127.0.0.1:$(PORT)/#/experiments?workflowType=machine_learning'
	@store=$$(env -u MLFLOW_TRACKING_URI $(BIN)/python -c 'import pathlib, sys; \
	  from study.tracking.store import tracking_uri as at; print(at(pathlib.Path(sys.argv[1])))' \
	  "$$OUT") && MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
	  $(BIN)/mlflow ui --backend-store-uri "$$store" --host 127.0.0.1 --port $(PORT) --workers 1

dashboard: PORT = 8080
dashboard: $(READY)  ## Optuna's dashboard on this machine, over OUT/tuning/optuna.db
	@test -n "$$OPTUNA_STORAGE" -o -f "$$OUT/tuning/optuna.db" \
	  || { echo "$$OUT/tuning/optuna.db must exist, got none; run make tune first"; exit 2; }
	@test -x $(BIN)/optuna-dashboard || { echo "optuna-dashboard must be installed, got none;" \
	  "run: $(BIN)/pip install -c constraints.txt -e '.[dashboard]'"; exit 2; }
	@store=$$($(BIN)/python -c 'import pathlib, sys; \
	  from study.tuning.database import storage_url as at; print(at(pathlib.Path(sys.argv[1])))' \
	  "$$OUT") && $(BIN)/optuna-dashboard "$$store" --host 127.0.0.1 --port $(PORT) --server wsgiref

clean:  ## remove the environment (outputs stay)
	rm -rf .venv

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed, got: $$($(PYTHON) --version); give PYTHON=..."; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $(READY)
