# `make run` and `make test` work from a clean clone; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
BIN := .venv/bin
INSTALLED := .venv/.installed
CHROMIUM := /usr/bin/chromium

.PHONY: accessibility messages help run test check bench lint format types floors templates migrate screenshots docs audit chromium security-matrix timing fuzz growth

help: ## List these targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | column -t -s '|'

run: $(INSTALLED) ## Run the server and a demo application to sign in to, until Ctrl-C
	@exec $(BIN)/idp dev

test: $(INSTALLED) chromium ## Run every test, those in a browser included, and show the coverage
	$(BIN)/pytest -n 2 --cov --cov-report=term:skip-covered

check: lint types floors templates audit ## Everything that continuous integration wants
	$(BIN)/ruff format --check .
	diff docs/settings.md <($(BIN)/python -m idp.settings) || { echo "docs/settings.md is old: make docs"; exit 1; }
	$(BIN)/python -m tests.security_matrix --check
	$(MAKE) test

bench: ## Measure the speed (later)
	@echo "The benchmarks come later."

lint: $(INSTALLED) ## Look for mistakes in the Python code
	$(BIN)/ruff check .

format: $(INSTALLED) ## Format the Python code and the templates
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .
	$(BIN)/djlint templates --reformat --quiet || true

types: $(INSTALLED) ## Check the types
	$(BIN)/mypy

floors: $(INSTALLED) ## Check that imports only point downwards
	$(BIN)/lint-imports

templates: $(INSTALLED) ## Check the templates
	$(BIN)/djlint templates --lint --quiet
	$(BIN)/djlint templates --check --quiet

migrate: $(INSTALLED) ## Bring the database up to date
	$(BIN)/idp database migrate

screenshots: $(INSTALLED) chromium ## Take the pictures in docs/images anew
	$(BIN)/python -m tests.screenshots

docs: $(INSTALLED) security-matrix ## Write the generated documents anew
	$(BIN)/python -m idp.settings > docs/settings.md

messages: $(INSTALLED) ## Bring the catalogues of all languages up to date with what the code says
	$(BIN)/python -m tests.messages

accessibility: $(INSTALLED) chromium ## Write the table in docs/accessibility.md anew: what axe-core finds on every page
	$(BIN)/python -m tests.accessibility

security-matrix: $(INSTALLED) ## Write docs/security-matrix.md anew: what must hold, and the tests that prove it
	$(BIN)/python -m tests.security_matrix

fuzz: $(INSTALLED) ## Feed every endpoint and form with 10,000 requests that nobody should send
	IDP_FUZZ_EXAMPLES=10000 $(BIN)/pytest -q tests/web/test_hostile_input.py

timing: $(INSTALLED) ## Measure whether the time of an answer tells who has an account (ten minutes or more)
	$(BIN)/python -m tests.timing

growth: $(INSTALLED) ## Measure the hot paths and the jobs on a database of a million grants (half an hour, 5 GB)
	$(BIN)/python -m tests.growth

# The advisories are asked for over the network; where they cannot be had, this says so and goes on.
audit: $(INSTALLED) ## Look for known weaknesses in the dependencies
	@said=$$($(BIN)/pip-audit --strict --requirement requirements.lock --require-hashes --disable-pip 2>&1) && echo "$$said" || \
	if grep -q 'Found .* known vulnerabilit' <<< "$$said"; then echo "$$said"; exit 1; \
	else echo "*** THE DEPENDENCIES ARE NOT AUDITED, the advisories cannot be had: $$(tail -n 1 <<< "$$said") ***"; fi

# Chromium is wanted by the browser tests alone; where it cannot be had they are skipped, which CI refuses.
chromium:
	@test -x $(CHROMIUM) || { \
		if [ "$$(id -u)" = 0 ]; then as_root=; else as_root="sudo -n"; fi; \
		$$as_root apt-get update -qq && $$as_root apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core; \
	} || echo "*** NO CHROMIUM: $(CHROMIUM) is missing and cannot be installed; the browser tests will be skipped. ***"

$(INSTALLED): requirements-dev.lock pyproject.toml
	@test -x $(BIN)/python || { \
		for python in python3.13 python3.12 python3.11 python3; do \
			if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
				echo "Setting up .venv with $$($$python --version)"; exec $$python -m venv --clear .venv; \
			fi; \
		done; \
		echo "No Python of version 3.11 or later, with the module venv, was found." >&2; exit 1; \
	}
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
