# SPDX-License-Identifier: MIT
# From a clone to green: `make demo`, `make test`.  Every target sets up what it needs and
# does nothing twice; the work is done by the scripts in tools/.

HOST_PYTHON ?= pypy3
# GUEST_PYTHON=/path/to/python3.x and CPHOST_PYTHON=... override the choice of tools/cpythons.py.
# ARGS goes to pytest (make test) or to benchmarks/run.py (make bench).
ARGS ?=
# ONLY=pypy, second or cpython runs one part of `make test`.
ONLY ?=

export HOST_PYTHON GUEST_PYTHON CPHOST_PYTHON
# Another environment's settings must not reach the interpreters that we start.
unexport PYTHONHOME PYTHONPATH PYTHONSTARTUP VIRTUAL_ENV

ENVIRONMENTS := $(HOST_PYTHON) tools/environments.py
HOST := .venv-host/bin/python
GUEST := $(CURDIR)/.venv-guest/bin/python

.PHONY: help demo gallery test check docs format bench bench-all build system clean distclean
.NOTPARALLEL:

help:
	@echo 'make demo       fit and draw the sunspots with scipy and matplotlib, from PyPy'
	@echo 'make test       run the tests: PyPy with two guests, then CPython as the host'
	@echo '                ARGS="-k name" goes to pytest, ONLY=pypy|second|cpython runs one part'
	@echo 'make gallery    run the example scripts of scikit-learn, scikit-image and statsmodels'
	@echo '                with and without the bridge; ARGS="--sample 30" for some of them'
	@echo 'make check      format, lint, types, and the C core by itself, warnings as errors'
	@echo 'make docs       build the site of docs/, warnings as errors'
	@echo 'make format     rewrite the Python files as `make check` wants them'
	@echo 'make bench      print the table of ratios to native CPython'
	@echo 'make bench-all  main rows on CPythons, PyPy with numpy, execnet, rpyc and pybridge'
	@echo 'make build      only set up and compile'
	@echo 'make clean      remove what was compiled, cached and drawn'
	@echo 'make distclean  clean, and remove the virtual environments'

demo: system
	@$(ENVIRONMENTS) host guest
	PYBRIDGE_PYTHON=$(GUEST) $(HOST) demos/sunspots.py
	@test -s demos/out/sunspots.png
	@echo 'The picture: demos/out/sunspots.png'

test: system
	@$(ENVIRONMENTS) host guest cphost
	@$(ENVIRONMENTS) bench || echo 'test: without it the tests of a host with numpy are skipped'
	@tools/gallery --prepare || echo 'test: without it the sample of the galleries is skipped'
	@$(HOST) tools/run_tests.py --only='$(ONLY)' -- $(ARGS)

gallery: system
	@$(ENVIRONMENTS) host
	@tools/gallery $(ARGS)

check: system
	@$(ENVIRONMENTS) tools
	@tools/check

docs: system
	@$(ENVIRONMENTS) host docs
	@tools/docs

format: system
	@$(ENVIRONMENTS) tools
	.venv-tools/bin/ruff check --fix .
	.venv-tools/bin/ruff format .

bench: system
	@$(ENVIRONMENTS) host guest
	PYBRIDGE_PYTHON=$(GUEST) $(HOST) benchmarks/run.py $(ARGS)

bench-all: system
	@$(ENVIRONMENTS) host guest native bench
	PYBRIDGE_PYTHON=$(GUEST) $(HOST) benchmarks/columns.py --pypy .venv-bench/bin/python \
		$(if $(wildcard .venv-native),--native .venv-native/bin/python) $(ARGS)

build: system
	@$(ENVIRONMENTS) host guest

system:
	@tools/system

clean:
	rm -rf .build build dist pybridge.egg-info pybridge/_core.*.so demos/out docs/reference.md
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -path './.venv-*' -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

distclean: clean
	rm -rf .venv-host .venv-guest .venv-cphost .venv-tools .venv-docs .venv-gallery .venv-bench .venv-native
