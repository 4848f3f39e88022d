# Two commands matter: `make run` and `make test`. Both set up .venv from the pinned, hash-checked lock first.
SHELL := /bin/bash
# The first of these that runs.
PYTHON ?= $(shell for each in python3.11 python3.12 python3.13 python3; do \
  $$each -c pass 2> /dev/null && command -v $$each && break; done)
HOST ?= 127.0.0.1
PORT ?= 8000
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
RECIPES := train/recipes
DEBIAN := chromium prometheus prometheus-alertmanager
# Where pip finds the CPU build of PyTorch if what it is configured with has none: a page of links, or a folder of wheels.
TORCH_WHEELS ?= locks/pytorch/torch/index.html
INDEX := --index file://$(CURDIR)/locks/pytorch
COMPILE := $(BIN)/uv pip compile pyproject.toml --override locks/overrides.txt --generate-hashes --no-emit-index-url \
  --custom-compile-command "make lock" --quiet --extra s3
CPU := $(INDEX) --extra cpu --universal --python-version 3.11
GPU := --extra gpu --python-version 3.12 --python-platform x86_64-manylinux_2_28

.PHONY: run test check setup served bench checkpoint corpus pictures lock lock-check help

help:  ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: setup  ## start the service with the bundled taxonomy and checkpoint
	@exec $(BIN)/route-feedback serve --host $(HOST) --port $(PORT)

test: setup .venv/.debian  ## every test
	@echo "== tests"
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadscope --no-loadscope-reorder

check: setup  ## lint, types, layers, tests
	@echo "== ruff" && $(BIN)/ruff check . && $(BIN)/ruff format --check .
	@echo "== mypy" && $(BIN)/mypy
	@echo "== import-linter" && $(BIN)/lint-imports
	@$(MAKE) --no-print-directory test

setup: .venv/.set-up  ## make .venv from locks/cpu.txt

.venv/.set-up: locks/cpu.txt pyproject.toml
	@python=$$(test -x $(BIN)/python && echo $(BIN)/python || echo $(or $(PYTHON),python3)); $$python -c 'import platform, sys; \
	  here = (sys.implementation.name, "%d.%d" % sys.version_info[:2], platform.system(), platform.machine()); \
	  sys.exit(here not in [("cpython", version, "Linux", machine) \
	    for version in ("3.11", "3.12", "3.13") for machine in ("x86_64", "aarch64")] \
	    and "The CPU lock is for CPython 3.11, 3.12 or 3.13 on x86-64 or 64-bit Arm Linux; " + " ".join(here) \
	    + " is another: name a Python with PYTHON=..., or use the Dockerfile")'
	@echo "== setting up .venv (about 3 minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) --require-hashes -r locks/cpu.txt 2> .venv/pip.log \
	  || { echo "== once more, with the CPU build of PyTorch from $(TORCH_WHEELS)"; \
	       $(PIP) --require-hashes -r locks/cpu.txt --find-links $(TORCH_WHEELS) 2>> .venv/pip.log; } \
	  || { cat .venv/pip.log; echo "If it is PyTorch's CPU build that is missing, name a folder or page that has it: TORCH_WHEELS=..."; exit 1; }
	@$(PIP) --no-build-isolation --editable . 2>> .venv/pip.log || { cat .venv/pip.log; exit 1; }
	@$(BIN)/python -c 'import ctypes; ctypes.CDLL("libnuma.so.1")' 2> /dev/null || { \
	  echo "== vLLM needs libnuma.so.1, installing Debian's libnuma1"; \
	  { apt-get update -qq && apt-get install -y -qq libnuma1; } > .venv/apt.log 2>&1 \
	  || { cat .venv/apt.log; echo "Install the package libnuma1 (as root: apt-get install libnuma1), then again."; exit 1; }; }
	@touch $@

.venv/.debian: Makefile
	@missing=$$(for each in $(DEBIAN); do dpkg -s $$each > /dev/null 2>&1 || echo $$each; done | xargs); \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	  echo "== installing what tests need from Debian: $$missing"; \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; } \
	    > .venv/apt.log 2>&1 || tail -3 .venv/apt.log; \
	elif [ -n "$$missing" ]; then \
	  echo "== tests that need Debian's $$missing will be skipped (they are installed where make runs as root with apt)"; \
	fi
	@touch $@

# By the recipe of the bundled one. Threads and processes decide how sums are rounded: the same on alike machines.
checkpoint: setup  ## train the bundled checkpoint anew into runs/bundled
	@OMP_NUM_THREADS=2 $(BIN)/route-feedback train $(RECIPES)/bundled-general.yaml --out runs/bundled-general
	@OMP_NUM_THREADS=1 $(BIN)/torchrun --nproc_per_node 2 -m route_feedback train $(RECIPES)/bundled.yaml \
	  --out runs/bundled

corpus: setup  ## write the bundled corpus's two splits into runs/corpus
	@mkdir -p runs/corpus
	@$(BIN)/route-feedback corpus write train runs/corpus/train.jsonl
	@$(BIN)/route-feedback corpus write test runs/corpus/test.jsonl

served: setup  ## 1,000 comments of the test split through HTTP: violations, scores, seconds
	@mkdir -p runs/served
	@$(BIN)/route-feedback corpus write test runs/served/test_1000.jsonl --count 1000
	@.ci/with-service $(BIN)/route-feedback eval served --gold runs/served/test_1000.jsonl \
	  --out runs/served/predictions.jsonl --url

bench: setup  ## how fast, beside vLLM as it comes (about four hours), into runs/bench
	@mkdir -p runs/bench
	@$(BIN)/route-feedback corpus write test runs/bench/comments.jsonl
	@$(BIN)/route-feedback bench constraint --comments runs/bench/comments.jsonl --out runs/bench/constraint.json
	@$(BIN)/route-feedback bench speed --comments runs/bench/comments.jsonl --out runs/bench/speed.json \
	  --plot runs/bench/speed.svg
	@$(BIN)/route-feedback bench observing --comments runs/bench/comments.jsonl --out runs/bench/observing.json

pictures: setup .venv/.debian  ## draw the dashboards from a real run, into docs/operations/pictures (3 minutes)
	@$(BIN)/python -m tests.helm.pictures

# What is locked already stays where it can; the service's own locks begin with the pins of the whole ones.
lock: setup  ## resolve the locks anew: everything, and what the service alone needs
	$(COMPILE) $(CPU) --extra offline --extra bases --group dev --output-file locks/cpu.txt
	$(COMPILE) $(GPU) --extra offline --extra bases --group dev --output-file locks/gpu.txt
	cp locks/cpu.txt locks/cpu-serve.txt && $(COMPILE) $(CPU) --output-file locks/cpu-serve.txt
	cp locks/gpu.txt locks/gpu-serve.txt && $(COMPILE) $(GPU) --output-file locks/gpu-serve.txt

# A dry run, which installs nothing. (langdetect, plain Python, comes as source alone; llguidance's wheels ask for glibc 2.31.)
lock-check: setup  ## ask the indexes, for each Python and processor of the CPU lock, for a wheel of all that it names
	@for version in 3.11 3.12 3.13; do for machine in x86_64 aarch64; do \
	  echo "== CPython $$version on $$machine"; \
	  $(BIN)/uv pip install --dry-run --quiet --target .venv/lock-check --python-version $$version \
	    --python-platform $$machine-manylinux_2_31 --only-binary :all: --no-binary langdetect --no-deps --require-hashes \
	    $(INDEX) --requirement locks/cpu.txt || exit 1; \
	done; done
