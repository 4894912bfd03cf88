# Every target starts from a bare clone; what it needs is installed into .venv first.

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
ARGS ?=
# Ten thousand examples; two of them keep two cores busy.
EXAMPLES = $(BIN)/python -m pytest --hypothesis-profile=soak tests/unit/billing/test_always_true.py

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# node and npm come with the virtual environment.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help run dev test soak bench lint format lock clean

help: ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

run: $(RUNTIME) ## Build for production and serve on PORT (3000)
	@exec $(BIN)/reflex run --env prod

dev: $(RUNTIME) ## Serve for development: pages on 3000, backend on 8000, both reload
	@exec $(BIN)/reflex run

test: $(DEV) ## Run the whole suite, browser and servers included
	@.ci/install-browser $(BIN)
	@$(BIN)/python -m pytest $(ARGS)

soak: $(DEV) ## Run what takes long: storms with sudden ends, many examples, large backfills
	@.ci/install-browser $(BIN)
	@$(BIN)/python -m pytest -m soak $(ARGS)
	@$(EXAMPLES) --hypothesis-seed=1 & first=$$!; \
		$(EXAMPLES) --hypothesis-seed=2; second=$$?; wait $$first && exit $$second

bench: $(DEV) ## Measure every figure beside its bare loop; ARGS names some of them
	@.ci/install-browser $(BIN)
	@$(BIN)/python -m benchmarks $(ARGS)

lint: $(DEV) ## Check style, types and the import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(DEV) ## Mend what can be mended by itself
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: ## Pin every dependency anew, without download addresses
	@python3 -m venv $(VENV)/lock && $(VENV)/lock/bin/pip install --quiet uv
	@$(VENV)/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" \
		--extra build pyproject.toml -o requirements.lock
	@$(VENV)/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" \
		--extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean: ## Remove what was built and installed; data stays
	rm -rf $(VENV) .web .states .build

$(BIN)/python:
	@.ci/create-venv $(VENV)

$(RUNTIME): requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing dependencies into $(VENV)"
	@$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	@$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@
