# Every target that people and CI use; `make help` lists them.

PRACTICE_PORT ?= 8642
DEMO := build/demo
VENV := .venv
PYTHON := $(VENV)/bin/python
export PRACTICE_PORT

# The practice mirror is made of files of several owners, and that takes root; all else runs as who calls it.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo env HOME=$(HOME) XDG_CACHE_HOME=$(XDG_CACHE_HOME) PYTHONDONTWRITEBYTECODE=1)

.DEFAULT_GOAL := help
.PHONY: help setup mirror demo serve test rehearsal torture fuzz bench lint wheel man pictures clean

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS='	' read -r name text; do printf '%-9s %s\n' "$$name" "$$text"; done

setup: $(VENV)/.ready  ## Install what the other targets need (Debian 12 or newer, as root or with sudo)
# What pip installs has its bytecode beside it; what is run from a checkout some hundred times should have, too.
	@$(PYTHON) -m compileall -q isobuilder tests

$(VENV)/.ready: setup.cfg tests/debian-packages.txt tests/practice/debian-packages.txt tests/install-debian-packages
	tests/install-debian-packages tests/debian-packages.txt tests/practice/debian-packages.txt
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

mirror: setup  ## Make the practice mirror, unless it is there
	@$(AS_ROOT) $(PYTHON) -m tests.practice make

demo: mirror  ## Make the practice mirror, build the demo ISO from it, say how to boot it
	$(PYTHON) -m tests.practice demo $(DEMO)

serve: mirror  ## Serve the practice mirror on 127.0.0.1, where the demo's definition looks, until Ctrl-C
	$(PYTHON) -m tests.practice serve

test: mirror lint  ## Run every test, real boots included (three quarters of an hour on two cores with other work)
	$(PYTHON) -m pytest

rehearsal: mirror  ## Let machines go the whole way, from the menu to a checked cloud (a quarter of an hour on two cores)
	$(PYTHON) -m tests.rehearsal build/rehearsal

torture: mirror  ## Lie to it, kill it, starve it, feed it what harms (a quarter of an hour on two cores; SEED=N repeats)
	$(AS_ROOT) $(PYTHON) -m tests.torture $(if $(SEED),--seed $(SEED))

fuzz: setup  ## Feed every parser what no maker makes (FUZZ_SECONDS each, 60)
	$(PYTHON) -m tests.fuzz --seconds $(or $(FUZZ_SECONDS),60)

bench: mirror  ## Measure how fast it is beside the usual tools (hours, if the cores have other work; 30 GB for a while)
	@mkdir -p build
	$(PYTHON) -m tests.bench --json build/bench.json

lint: setup  ## Check style and types
	$(VENV)/bin/ruff check --config tests/ruff.toml isobuilder tests
	$(VENV)/bin/ruff format --config tests/ruff.toml --check isobuilder tests
	$(VENV)/bin/mypy
# The wizard runs on Python 3.6, which mypy does not know any more: this is the lowest that it does.
	$(VENV)/bin/mypy --python-version 3.10 isobuilder/firstlogin
	$(VENV)/bin/vermin --quiet --target=3.6- --violations --eval-annotations --no-tips isobuilder/firstlogin

wheel: setup  ## Build the wheel into dist/
	$(PYTHON) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

man: setup  ## Write the man page into build/
	mkdir -p build
	$(PYTHON) -m isobuilder manual >build/isobuilder.1

pictures: demo  ## Take the README's pictures anew
	$(PYTHON) -m tests.draw_pictures $(DEMO) docs

clean:  ## Remove what was built (downloads and the practice mirror stay in the user's cache)
	rm -rf build dist $(VENV) isobuilder.egg-info
