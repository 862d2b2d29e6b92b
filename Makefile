# Every command of the project; the logic is in scripts/ and in Go. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup setup-optional build test e2e e2e-fences race replay explore sim virtual mutants fuzz bench chaos demo proto proto-check proto-release verify fmt clean

help: ## list the commands
	@echo 'Needs Go 1.26 and make. What drives servers needs Debian and, for machines of their own (e2e, chaos; bench and demo prefer it), root.'
	@awk -F ':.*## ' '/^[a-z0-9%-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install the servers and tools that tests drive (Debian), or say what is missing
	@scripts/setup

# The demo makes do without what can't be installed, and says so.
setup-optional:
	@$(if $(filter builtin,$(SERVICE)),:,scripts/setup --optional)

build: ## build arbiterd, arbiterctl, arbiter-lab and its helpers into bin/
	@scripts/build

test: setup build ## unit, cluster and short end-to-end tests: what CI runs
	@scripts/test unit
	@scripts/test short

e2e_flags = $(if $(RUN),-run '$(RUN)' $(if $(COUNT),,-v)) $(if $(COUNT),-count=$(COUNT) -timeout 10h) $(if $(RACE),-race)

e2e: setup build ## all end-to-end scenarios; RUN='Scenario02_' picks some, COUNT=20 repeats them, RACE=1 FENCE=slow|lying|gone
	@scripts/test e2e $(e2e_flags)

e2e-fences: setup build ## e2e with every fence good, slow, lying and gone, and one summary: two hours; RUN, COUNT, RACE as for e2e
	@scripts/test fences $(e2e_flags)

race: setup ## unit and cluster tests under the race detector
	@scripts/test race

sim: ## whole arbiters in a world that goes wrong: make sim SEEDS=500 FIRST=0 REPORT=file, or one again: SEED=n
	@go run ./internal/sim/cmd/arbiter-sim

virtual: ## sim with the real Raft and gRPC in virtual time: make virtual SEEDS=100 FIRST=1, or one again: SEED=n; RACE=1 REPORT=file
	@scripts/test virtual $(if $(RACE),-race)

demo: setup-optional build ## pull the plug of a primary and watch; KEEP=1 leaves it running, SERVICE=builtin needs no PostgreSQL
	@bin/arbiter-lab demo

bench: $(if $(filter builtin,$(SERVICE)),setup-optional,setup) build ## time failovers: make bench FAULT=crash|freeze|host|partition|leader+primary|idle|quiet RUNS=10 GROUPS=1 REPORT=file QUIET=file
	@bin/arbiter-lab bench

chaos: setup build ## break everything at random while clients write, and check: make chaos MINUTES=10 SEED=n REPORT=file PLOT=file.svg
	@bin/arbiter-lab chaos

replay: ## decide again what arbiters recorded (arbiterd --record FOLDER), with this source, and compare: make replay RECORDING=folder REPORT=file
	@go run ./internal/recording/cmd/arbiter-replay "$(RECORDING)"

explore: ## visit every state of a small group and ask whether the rules hold: make explore ODD=2 REPORT=file
	@go run ./internal/explore/cmd/arbiter-explore

mutants: ## plant bugs and see what finds them: make mutants ONLY=part-of-a-name REPORT=file
	@go run ./internal/mutants/cmd/arbiter-mutants

fuzz: ## give every reader of foreign bytes odd ones: make fuzz SECONDS=45, each; ONLY=part-of-a-name REPORT=file
	@scripts/fuzz $(or $(SECONDS),10) $(ONLY)

proto: ## generate Go code from proto/
	@scripts/proto generate

proto-check: ## generated code is current, the schema is clean and compatible with the released one
	@scripts/verify generated schema released

proto-release: ## record the schema as released: later changes must stay compatible with it
	@scripts/proto release

verify: ## every static check; one of them: make verify-arrows (scripts/verify --list)
	@scripts/verify

verify-%:
	@scripts/verify $*

fmt: ## lay out every Go file
	@go tool -modfile=tools.mod gofumpt -w .

clean: ## remove bin/
	@rm -rf bin
