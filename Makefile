# Everything a user or CI runs. Nothing here needs root; `make help` lists the targets.
#
# make demo                    the whole chain on jets that it simulates
# JEC_SOURCE=DIR make demo     the same on JetNTuple files
#
# PYTHON        the Python to build .venv with (3.11 or 3.12, with venv)
# TORCH         what pip installs as torch; on Linux, PyPI's build includes CUDA. For the smaller CPU build:
#               make install TORCH='torch==2.13.0+cpu --extra-index-url https://download.pytorch.org/whl/cpu'
# RUNTIME       cpu or gpu: which ONNX Runtime

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
TORCH ?= torch==2.13.0
RUNTIME ?= cpu
JETS ?= 36000
SIMULATED := var/simulated_jets

BIN := .venv/bin
# Absolute, so that it holds wherever a target's program changes to.
export DAGSTER_HOME := $(CURDIR)
export PATH := $(CURDIR)/$(BIN):$(PATH)
export VIRTUAL_ENV := $(CURDIR)/.venv
# Nothing of a user's site-packages or PYTHONPATH may get in between.
export PYTHONNOUSERSITE := 1
unexport PYTHONPATH
# torch's operations here are small: more threads than this wait for each other, for long where a core is busy.
export OMP_NUM_THREADS ?= 1
# Dagster says on every `dagster job execute` that `dg launch` is its younger twin.
export PYTHONWARNINGS := ignore::Warning:click.core

PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# A line every eight seconds until the command behind it ends.
SIGNS_OF_LIFE := trap 'kill $$!' EXIT; while sleep 8; do echo "  still installing ..."; done &

# Triton needs Python's shared library, which Debian's python3.11 comes without: from its package, without root. Where
# that fails, `jec check` says what to install.
FETCH_LIBPYTHON = ( name=$$($(BIN)/python -c 'import sys; print("libpython%d.%d" % sys.version_info[:2])'); \
	echo "Fetching $$name, which Triton needs ..."; folder=$$(mktemp -d); \
	( cd $$folder && apt-get download -qq $$name && dpkg-deb -x $${name}_*.deb . ) && \
	cp -L $$folder/usr/lib/*/$$name.so.1.0 .venv/lib/; rm -rf $$folder ) || true

.PHONY: help install demo dev stop test test-k8s lint bench perf-analyzer clean

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1|/' | column -t -s '|'

install: .venv/installed ## Create .venv and install everything into it, pinned

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info < (3, 13); sys.exit(0 if ok else "Python 3.11 or 3.12 is needed, this is %d.%d: make PYTHON=python3.11 ..." % sys.version_info[:2])'
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "venv is missing: install python3-venv"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing torch ..."
	@$(SIGNS_OF_LIFE) $(PIP) install -c constraints.txt $(TORCH)
	@echo "Installing jec_assets and what it needs (a minute or two) ..."
	@$(SIGNS_OF_LIFE) $(PIP) install -c constraints.txt -e '.[$(RUNTIME),simulation,kubernetes,dask,xrootd,repository,dev]'
	@# Triton's own wheel asks for an old NumPy that only its Python client needs: it comes without its dependencies, and
	@# is left out of the check where it is there already.
	@broken=$$($(BIN)/python -m pip check | grep -v -e '^nvidia-pytriton ' -e '^No broken' || true); \
	if [ -n "$$broken" ]; then echo "$$broken"; exit 1; fi
	@$(SIGNS_OF_LIFE) $(PIP) install --no-deps nvidia-pytriton==0.7.0
	@$(BIN)/python -c 'from jec_assets.serving.installation import find_triton; find_triton()' 2>/dev/null || $(FETCH_LIBPYTHON)
	@touch $@

demo: install ## Simulate jets (unless JEC_SOURCE is set), calibrate, serve, report
	@jec check
	@if [ -z "$${JEC_SOURCE:-}" ]; then jec run -- jec simulate --jets $(JETS) --out $(SIMULATED) --seed 1; fi
	@jec run -- dagster job execute -m jec_assets.definitions -j calibration
	@jec results

dev: install ## Open the Dagster UI on http://127.0.0.1:3000
	@jec dev

stop: ## End every process that the project started here, Triton included
	@if [ -x $(BIN)/jec ]; then jec stop; else echo "nothing was installed here, so nothing runs"; fi

lint: install ## Style, types and the order of packages
	@ruff check .
	@ruff format --check .
	@mypy
	@lint-imports --no-cache
	@dg check defs
	@dagster definitions validate -w workspace.yaml

# A file's tests stay in one process, and files begin in their order: the longest are among the first.
test: install ## The whole test suite
	@pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --ignore jec_assets_tests/kubernetes

test-k8s: install ## What runs on Kubernetes, on the cluster that JEC_TEST_CLUSTER starts or that of KUBECONFIG
	@pytest jec_assets_tests/kubernetes

# What the claims of benchmarks/ compare with, in an environment of its own.
CLAIMS := loading_vs_weaver particle_net_step_vs_weaver pfn_step_vs_published part_step_vs_weaver \
	onnx_vs_weaver served_vs_inprocess requests_per_second

bench: install .bench/installed ## Measure training and exported graphs against their peers, a line and a ratio each (about ten minutes)
	@for claim in $(CLAIMS); do python -m benchmarks.$$claim; done

.bench/installed: benchmarks/constraints.txt
	@test -x .bench/bin/python || $(PYTHON) -m venv .bench
	@echo "Installing the peers ..."
	@$(SIGNS_OF_LIFE) .bench/bin/python -m pip --quiet --disable-pip-version-check install -c $< $(TORCH)
	@$(SIGNS_OF_LIFE) .bench/bin/python -m pip --quiet --disable-pip-version-check install -c $< weaver-core onnx onnxruntime
	@touch $@

# The last release of Triton's Python client that carries it, with the two libraries that it wants.
perf-analyzer: .venv/bin/perf_analyzer ## Put Triton's own load generator into .venv/bin (Linux on x86-64, Debian or Ubuntu)

.venv/bin/perf_analyzer: .venv/installed
	@folder=$$(mktemp -d); cd $$folder; \
	python -m pip --quiet download --no-deps tritonclient==2.51.0 nvidia-cuda-runtime-cu12==12.8.90; \
	for wheel in *.whl; do python -m zipfile -e $$wheel .; done; \
	apt-get download -qq libb64-0d; dpkg-deb -x libb64-0d_*.deb .; \
	mkdir -p $(VIRTUAL_ENV)/lib/perf_analyzer; \
	cp -L usr/lib/*/libb64.so.0d nvidia/cuda_runtime/lib/libcudart.so.12 $(VIRTUAL_ENV)/lib/perf_analyzer; \
	install *.data/data/bin/perf_analyzer $(VIRTUAL_ENV)/lib/perf_analyzer; rm -rf $$folder
	@printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s/perf_analyzer "$$@"\n' $(VIRTUAL_ENV)/lib/perf_analyzer{,} > $@
	@chmod +x $@

clean: stop ## Remove .venv, .bench and everything that runs made
	@rm -rf .venv .bench var
