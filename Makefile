# make demo   set up, compare generators on six small tables, write a report
# make test   set up, run linter, type checker and all tests
# make coverage  the same, and measures which lines of tabgen the tests run: 90 % are due
# make docs   set up, build the documentation site and the board of the study: docs/_build/html/index.html
# make fast   the tests to run while working: without those of servers, boards and many simulations
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# PyTorch's own index has the CPU builds; set TORCH_INDEX= (empty) to get the default build with CUDA.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
PLUGINS = $(sort $(dir $(wildcard plugins/*/pyproject.toml)))
DEMO = runs/demo
DEMO_METHODS = zero-shot,real,bootstrap,independent,smote-nc,scm,causalmix

.PHONY: demo test coverage fast docs install browser clean

demo: install
	$(BIN)/tabgen run --suite quick --folds 2 --max-train-rows 300 --max-test-rows 200 --tuning-seeds 1 --methods $(DEMO_METHODS) -o $(DEMO)

test: install browser
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --durations=25 $(MEASURE)

coverage: MEASURE = --cov --cov-report=term
coverage: test

docs: install
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	$(BIN)/python benchmarks/study/rows.py docs/_build/study --whole
	$(BIN)/tabgen leaderboard build docs/_build/study/* -o docs/_build/html/leaderboard --suite core \
	  --title "Which generator helps tabgen-nano?" --licence CC-BY-4.0

fast: install
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 -m "not slow" tests

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt $(addsuffix pyproject.toml,$(PLUGINS))
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --retries 1 --timeout 60 'pip>=25.1'
	$(BIN)/pip install -q --retries 1 --timeout 60 $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -c constraints.txt torch
	$(BIN)/pip install -q -c constraints.txt -e . --group dev $(addprefix -e ./,$(PLUGINS))
	touch $@

# The site's tests drive a real browser; where it cannot be had they are skipped, and say so.
browser:
	@command -v chromedriver >/dev/null || { command -v apt-get && [ "$$(id -u)" = 0 ] && timeout 120 apt-get -qq update \
	  && DEBIAN_FRONTEND=noninteractive timeout 300 apt-get -qq install -y --no-install-recommends chromium chromium-driver; } \
	  >/dev/null 2>&1 || echo "no Chromium with its driver: the browser tests will be skipped"

clean:
	rm -rf $(VENV) $(DEMO)
