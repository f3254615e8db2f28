# One command for each thing. Needs Python >= 3.10 and make; uv is used where it is installed.
PYTHON ?= python3
VENV := .venv/bin/python
ARGS ?=
TASK ?= colour label

.DEFAULT_GOAL := help
.PHONY: help demo test bench bench-cost bench-quality bench-guides bench-editing
.PHONY: bench-start bench-transfer bench-truth bench-widgets tune lint format
.PHONY: gpu-check new-energy locales contract environment clean

help: ## list these commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

demo: environment ## guided images and their scores, in out/demo/ (ARGS="--samples 16 --host diffusers")
	$(VENV) -m tools.demo $(ARGS)

test: environment ## every test: core, web/ in node, each ComfyUI found, a browser (ARGS="-k colour")
	$(VENV) -m tools.run_tests $(ARGS)

bench: environment ## time, memory and operations of guided steps (ARGS="--case sd15-clip")
	$(VENV) -m bench --page docs/cost.md $(ARGS)

bench-cost: environment ## what guiding less often, less deep or by a cheaper decoder keeps, on Shapes
	$(VENV) -m bench.pace $(ARGS)

bench-start: environment ## what the pack adds to the start of ComfyUI (ARGS="--starts 5")
	$(VENV) -m bench.start $(ARGS)

bench-quality: environment ## published methods and ours, judged from pixels (ARGS="--seeds 8")
	$(VENV) -m bench.quality $(ARGS)

bench-guides: environment ## whether every guide does what it is asked, on Shapes (ARGS="--seeds 8")
	$(VENV) -m bench.guides $(ARGS)

bench-editing: environment ## moved, resized and swapped objects, judged from pixels (ARGS="--seeds 8")
	$(VENV) -m bench.editing $(ARGS)

bench-transfer: environment ## one strength for every sampler, in a real ComfyUI (ARGS="--images 8")
	$(VENV) -m bench.transfer $(ARGS)

bench-truth: environment ## guided samples against exact ones (ARGS="--render")
	$(VENV) -m bench.truth $(ARGS)

bench-widgets: environment ## speed of the widgets in a browser (ARGS="--address 127.0.0.1:8188")
	$(VENV) -m bench.widgets $(ARGS)

gpu-check: environment ## time, memory and gradients on a GPU, true sizes, random weights, 8 minutes
	$(VENV) -m bench.gpu_check --page docs/cost.md $(ARGS)

tune: environment ## settings of the unified rule for a task (TASK="colour label" ARGS="--workers 2")
	$(VENV) -m bench.quality.tune --task "$(TASK)" $(ARGS)

lint: environment ## ruff, mypy and TypeScript's compiler on web/
	$(VENV) -m ruff check .
	$(VENV) -m ruff format --check .
	$(VENV) -m tools.typecheck
	$(VENV) -m tools.javascript

format: environment ## let ruff put every file into its format
	$(VENV) -m ruff check --fix .
	$(VENV) -m ruff format .

new-energy: ## the four stubs of an energy (NAME=edge_density), see docs/adding-an-energy.md
	@$(PYTHON) -m tools.new_energy "$$NAME"

locales: environment ## what the nodes say into locales/en and the help pages' tables
	$(VENV) -m tools.locales

contract: environment ## at a release: promise that new nodes stay as they are
	$(VENV) -m tools.contract

environment: ## make .venv and bring it up to date
	@$(PYTHON) tools/environment.py > /dev/null

clean: ## remove the environments and what the commands wrote
	rm -rf .venv .venv-host-* node_modules out/demo out/bench
