# `make demo` is the place to start; `make help` lists the rest.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
DOCS_STAMP := .venv/.docs-installed
NOTEBOOKS_STAMP := .venv/.notebooks-installed

.PHONY: help demo test test-long fuzz check docs notebooks clean constraints .venv
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z.-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z.-]+):.*## /  make \1\t/' | expand -t 20

demo: .venv ## distil movielens-small, compare the summary with controls, show it
	$(BIN)/farzi distill --out runs/demo --cache runs/cache --sequences 20 --length 10 --steps 100 --set teach.max_steps=1200 --set teach.optimizer.learning_rate=0.003
	$(BIN)/farzi compare runs/demo --cache runs/cache --seeds 2 --no-equal-bytes --set teach.grid.learning_rate=[0.003] --references initial
	$(BIN)/farzi inspect runs/demo --sequences 3
	@echo
	@echo 'Next, MovieLens-100k in 100 events:       $(BIN)/farzi distill --recipe research/recipes/ml-100k-10x10.yaml --out runs/ml-100k'
	@echo 'or your own log:                          $(BIN)/farzi distill events.csv --out runs/mine'

test: .venv ## the tests, without the long ones
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal

test-long: .venv ## the long tests
	$(BIN)/python -m pytest -m long

fuzz: .venv ## damaged and hostile inputs of every format, for some minutes
	$(BIN)/python -m scripts.fuzz --cases 20000

check: export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1 # don't ask the network whether there is a newer one
check: .venv ## style, types and import layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache

docs: $(DOCS_STAMP) ## build the docs site in site/; warnings are errors
	$(BIN)/python -m scripts.docs
	$(BIN)/zensical build --strict --clean

$(DOCS_STAMP): $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $(DOCS_STAMP)

notebooks: $(NOTEBOOKS_STAMP) ## run the notebooks of examples/notebooks; CHECK=--check leaves the files as they are
	$(BIN)/python -m scripts.notebooks $(CHECK)

$(NOTEBOOKS_STAMP): $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[notebooks]'
	@touch $(NOTEBOOKS_STAMP)

.venv: $(STAMP) ## install Farzi and its tools into .venv

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Farzi needs Python 3.11 or newer, and '$(PYTHON)' is not: name another one, as in  make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; \
		exit 1; }
	@echo 'Installing Farzi and its packages into .venv; the first time this takes some minutes.'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

# PyTorch's pin stays, because it decides which build is installed: change it by hand first.
constraints: ## pin the newest release of every dependency in constraints.txt
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
	grep '^torch==' constraints.txt > "$$scratch/torch.txt" && \
	$(PYTHON) -m venv "$$scratch/venv" && \
	"$$scratch/venv/bin/python" -m pip install --quiet -c "$$scratch/torch.txt" -e '.[dev,docs,notebooks]' && \
	{ sed -n '/^#/p' constraints.txt; \
	  "$$scratch/venv/bin/python" -m pip freeze --exclude-editable | sed 's/+.*//' | grep -viE '^(nvidia|cuda|triton)'; \
	} > "$$scratch/new.txt" && cp "$$scratch/new.txt" constraints.txt

clean: ## remove the environment and caches; runs/ stays
	rm -rf .venv .cache site .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist src/*.egg-info
	find src research tests -name __pycache__ -type d -prune -exec rm -rf {} +
