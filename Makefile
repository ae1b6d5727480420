# `make help` lists what there is. Nothing but python3 (with venv), git and make is needed on the machine; for all tests,
# podman and a registry as well (.ci/run).
BIN := .venv/bin
# What is given is no text of make's. ARGS is shell text: the words that one would write behind the command itself.
$(foreach name,PYTHON ARGS,$(if $(filter command,$(origin $(name))),$(eval override $(name) := $$(value $(name)))))
$(foreach name,PYTHON ARGS,$(if $(value $(name)),$(eval export $(name))))
WITH_ARGS := eval "set -- $$ARGS";
# The tests, three files at once: most of them wait for processes and answers. The long files first, then the end is short.
PYTEST := $(BIN)/python -m pytest -p tests.times --verbose --numprocesses=3 --dist=loadfile --no-loadscope-reorder --durations=25
TESTS := tests/sources tests/automation tests/journeys tests/odd_tables tests/containers tests/updates packages/rehearsal/tests packages/aml/tests tests/renders
UV := uv==0.13.8
PROJECT := {{cookiecutter.project_slug}}
MODEL := $(PROJECT)/models/{{cookiecutter.model_name}}
FRAMEWORKS := $(notdir $(wildcard templates/frameworks/*))

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-full lint format mutation bench

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

demo: .venv/demo ## Walk the whole way in demo/: render, train, serve, submit, register
	$(BIN)/python tools/demo.py

test: lint ## Run the tests (tests/README.md)
	$(WITH_ARGS) $(PYTEST) -m "not full" "$$@" $(TESTS)

test-full: lint ## Run all tests: every Python, every resolution, whole journeys of az, random kills (nightly)
	$(WITH_ARGS) $(PYTEST) "$$@" $(TESTS)

test-fast: lint ## Run the tests of a minute and a half: sources, renders, the engine without a workspace
	$(WITH_ARGS) $(PYTEST) -m "not full and not workspace and not slow" "$$@" tests/sources packages/aml/tests tests/renders

lint: .venv/dev .venv/ci ## Check the sources: ruff, mypy
	$(BIN)/ruff check --config pyproject.toml .
	$(BIN)/ruff format --config pyproject.toml --check .
	MYPYPATH=benchmarks $(BIN)/mypy aml_template aml_template_place.py hooks tools tests benchmarks
	$(BIN)/mypy packages/aml/src packages/az/azext_aml_project
	MYPYPATH=packages/aml/tests $(BIN)/mypy packages/aml/tests
	MYPYPATH=packages/rehearsal/src:packages/rehearsal/tests $(BIN)/mypy $(addprefix packages/rehearsal/,src tests)
	$(foreach framework,$(FRAMEWORKS),MYPYPATH="templates/frameworks/$(framework):templates/predictors:templates/networks:$(MODEL)" $(BIN)/mypy \
		templates/frameworks/$(framework) $(if $(wildcard templates/frameworks/$(framework)/network.py),templates/networks) \
		$(if $(wildcard templates/frameworks/$(framework)/evaluation.py),,templates/predictors templates/runtime) "$(MODEL)" &&) true
	MYPYPATH="templates/frameworks/sklearn:templates/predictors:$(MODEL)" $(BIN)/mypy templates/pipeline/tables
	MYPYPATH="templates/frameworks/pytorch:templates/predictors:templates/networks:$(MODEL)" $(BIN)/mypy templates/pipeline/networks

format: .venv/dev ## Format the sources
	$(BIN)/ruff check --config pyproject.toml --fix .
	$(BIN)/ruff format --config pyproject.toml .

mutation: .venv/dev .venv/model ## Change what decides in the engine, and see whether its tests notice (nightly; ARGS="--sample 10")
	$(WITH_ARGS) $(BIN)/python tools/mutation.py "$$@"

bench: .venv/dev ## Measure each part beside its floor, as ratios within one run (benchmarks/)
	$(BIN)/python benchmarks/render.py
	$(BIN)/python benchmarks/serve.py
	$(BIN)/python benchmarks/load.py
	$(BIN)/python benchmarks/commands.py
	$(BIN)/python benchmarks/submit.py
	$(BIN)/python benchmarks/rehearsal.py
	$(BIN)/python benchmarks/upload.py
	$(BIN)/python benchmarks/notebooks.py
	$(BIN)/python benchmarks/train.py
	$(BIN)/python benchmarks/auto3dseg.py
	$(BIN)/python benchmarks/batch.py
	$(BIN)/python benchmarks/search.py
	$(BIN)/python benchmarks/pipeline.py

.venv/bin/uv:
	"$${PYTHON:-python3}" -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
.venv/demo .venv/dev: .venv/%: pyproject.toml .venv/bin/uv
	$(BIN)/uv pip install --python $(BIN)/python --group $*
	@touch $@
# What reads and runs workflow files. Few have looked at these wheels: by their hashes, so that they stay the same.
.venv/ci: tests/automation/tools.txt .venv/bin/uv
	$(BIN)/uv pip install --python $(BIN)/python --require-hashes --no-deps --requirements $<
	@touch $@
# What a model trains with, for the tests of its runtime/.
PACKAGES := templates/environments/train.txt templates/frameworks/sklearn/train-requirements.txt $(PROJECT)/requirements-dev.txt
.venv/model: $(PACKAGES) .venv/bin/uv
	$(BIN)/uv venv --quiet --clear --python ">=3.11,<3.14" $@
	$(BIN)/uv pip install --python $@/bin/python $(foreach list,$(PACKAGES),--requirements "$(list)")
	@touch $@
