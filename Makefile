# Three commands on a fresh machine with Python 3.11 or later: `make demo`, `make serve` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo picture serve test test-slow test-page types lint docs notebooks clean

demo: $(VENV)/demo.stamp
	$(BIN)/stvg-jax demo --out demo

# The picture in the README: an answer about the demo's video, in 64 colours so that it stays small.
picture: demo
	$(BIN)/stvg-jax ground demo/shapes.mp4 "the small red circle which goes up" --no-video --out build/picture
	$(BIN)/python -c "from PIL import Image; Image.open('build/picture/tube.png').convert('RGB').quantize(64, dither=0).save('docs/pictures/answer.png', optimize=True)"

# The page, at http://127.0.0.1:7860.
serve: $(VENV)/serve.stamp
	$(BIN)/stvg-jax serve

test: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m tests.check_types
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

test-slow: $(VENV)/dev.stamp
	$(BIN)/pytest -m slow

# The page of the server in an installed Chromium or Chrome; leaves screenshots in build/page.
test-page: $(VENV)/dev.stamp
	mkdir -p build
	$(BIN)/pytest -m slow tests/serve --basetemp=build/page

types: $(VENV)/dev.stamp
	$(BIN)/python -m tests.check_types

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Pages in build/docs; fails for links that lead nowhere.
docs: $(VENV)/docs.stamp
	$(BIN)/python -m tests.check_types --lay-out-only
	$(BIN)/mkdocs build --strict

# The notebooks, executed, in build/notebooks.
notebooks: $(VENV)/notebooks.stamp
	rm -rf build/notebooks
	mkdir -p build/notebooks
	for name in grounding evaluation training; do \
	  PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/jupytext --quiet --to ipynb --execute --run-path build/notebooks \
	    --output build/notebooks/$$name.ipynb docs/notebooks/$$name.py || exit 1; \
	done

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; call make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/serve.stamp: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[serve]"
	touch $@

$(VENV)/dev.stamp: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

$(VENV)/notebooks.stamp: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[notebooks]"
	touch $@

$(VENV)/docs.stamp: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) build demo
