# make study: everything, from an empty machine to the report.   make test: everything that must hold.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3.11
CORES ?= all
PHASES := ingest embed retrieve train evaluate report
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links
ENVIRONMENT := .venv/.as-locked

export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help study test test-all test-browser environment download-environment lock pins docs clean

help:
	@echo "make study        the default study, from raw packages to results/report/index.html (CORES=all)"
	@echo "make test         what must hold before a change lands"
	@echo "make test-all     the slow matrices of the workflow too: reruns by key, kills, moments"
	@echo "make test-browser the viewer in a real Chromium, which is installed where apt and the right to are there"
	@echo "make environment  .venv with the locked packages, and this package"
	@echo "make download-environment .venv-download with img2dataset, for studies that download pictures"
	@echo "make lock         requirements/*.txt and envs/*.yaml from pyproject.toml"
	@echo "make pins         envs/*.linux-64.pin.txt, where conda and its channel can be reached"
	@echo "make docs         config.yaml, its schema and its table of keys from the settings models"
	@echo "make clean        remove logs, caches and work folders; results and raw files stay"

study: $(ENVIRONMENT)
	@CORES=$(CORES) bash workflow/study.sh

test: $(ENVIRONMENT)
	@pytest -n 2 --dist loadfile -m "not slow"

test-all: $(ENVIRONMENT)
	@pytest -n 2 --dist loadfile

test-browser: $(ENVIRONMENT)
	@command -v chromium > /dev/null || (apt-get update -qq && apt-get install -qq -y chromium > /dev/null) \
		|| echo "chromium could not be installed: the browser tests will say that they did not run"
	@pytest -rs tests/browser

environment: $(ENVIRONMENT)

$(ENVIRONMENT): requirements/lock.txt requirements/uv.txt pyproject.toml
	@echo "making .venv from requirements/lock.txt: about 6 GB, some minutes"
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --require-hashes -r requirements/uv.txt
	@VIRTUAL_ENV=$(CURDIR)/.venv uv pip sync --quiet requirements/lock.txt
	@VIRTUAL_ENV=$(CURDIR)/.venv uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

download-environment: $(ENVIRONMENT)
	@uv venv --quiet --clear --python 3.11 .venv-download
	@VIRTUAL_ENV=$(CURDIR)/.venv-download uv pip sync --quiet requirements/download.txt

lock: $(ENVIRONMENT)
	$(COMPILE) pyproject.toml --all-extras -o requirements/lock.txt
	grep '^uv==' requirements/lock.txt | tr -d '\\' | $(COMPILE) - -o requirements/uv.txt
	for phase in $(PHASES) workflow; do \
		$(COMPILE) pyproject.toml --extra $$phase --constraints requirements/lock.txt \
			-o requirements/$$phase.txt; \
	done
	folder=$$(mktemp -d) && sed 's/faiss-cpu/faiss-gpu/' pyproject.toml > $$folder/pyproject.toml && \
		$(COMPILE) $$folder/pyproject.toml --extra retrieve --constraints requirements/lock.txt \
			--no-annotate -o requirements/retrieve.gpu.txt && rm -r $$folder
	printf '%s\n' clip-retrieval==2.45.0 torch==2.13.0 torchvision==0.28.0 | \
		$(COMPILE) - --no-annotate -o requirements/bench-clip-retrieval.txt
	$(COMPILE) pyproject.toml requirements/download.in -o requirements/download.txt
	python workflow/write_environments.py

pins:
	@$(PYTHON) workflow/pin_environments.py

docs: $(ENVIRONMENT)
	valm write-config

clean:
	rm -rf logs work .snakemake/log .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
