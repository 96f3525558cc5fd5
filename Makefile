# make demo · test · check · bench    (each installs what it needs into .venv first)

PYTHON ?= python3
VENV   := .venv
RUN    := $(VENV)/bin/python
READY  := $(VENV)/.installed

BENCHMARKS := folds data stack honesty train engines deadline deadline_simulation promise audit tune

.PHONY: demo test test-slow check format bench clean

demo: $(READY)
	$(RUN) -m harness run

# In as many processes as there are cores, each with one thread: half of the time on two cores.
test: $(READY)
	$(RUN) -m pytest -n auto --maxprocesses 8 --dist worksteal

test-slow: $(READY)
	$(RUN) -m pytest -m slow

check: $(READY)
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports

format: $(READY)
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

bench: $(READY)
	for name in $(BENCHMARKS); do $(RUN) benchmarks/$$name.py || exit 1; done
	$(RUN) benchmarks/readme.py

# What the demo wrote; the environment stays.
clean:
	rm -rf .cache data tune kernel models/*/ oof/*.parquet folds/folds.* submissions/*.csv submissions/*.json \
	  submissions/board.sqlite

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 2; }
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "no venv module: apt-get install python3-venv"; exit 2; }
	$(RUN) -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[demo,dev]'
	@touch $(READY)
