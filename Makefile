# What people type: `make run`, `make test`. Everything sets up what it needs.
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DRAWING := $(VENV)/.drawing

.DEFAULT_GOAL := help
.PHONY: help run setup test check chaos attack interop walk proto dashboards documents picture power-cut mutants bench bench-curves bench-federation bench-guard bench-history bench-idle bench-mailbox bench-metrics bench-plots bench-reconnect bench-restart bench-typing audit base-image format fuzz clean lock sbom

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

$(READY): pyproject.toml deploy/locks/development.txt deploy/setup.sh deploy/core-tools.sh $(wildcard shared/core/*.[ch] shared/core/*/*.[ch])
	@deploy/setup.sh $(VENV)
	@touch $@

setup: $(READY) ## Make .venv with all that running and testing need

run: $(READY) ## Run a whole node here; Ctrl-C stops it
	@exec $(BIN)/parley serve

test: $(READY) ## Run all checks and tests
	@deploy/test.sh $(BIN)

check: $(READY) ## Lint, types, unit and property tests: under a minute
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/pytest -q tests/unit tests/property tests/house

chaos: $(READY) ## Break nodes in containers for a while, see that no message is lost: SEED=… MINUTES=10 (RATE=…, FAULTS=…, HISTORY=1: history and two devices, too)
	@$(BIN)/python -m tests.chaos $(if $(HISTORY),--history) $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(RATE),--rate $(RATE)) $(if $(FAULTS),--faults $(FAULTS))

attack: $(READY) ## Attack a node while people write: ONLY=pings,silent (SECONDS=15, OLD=a revision beside it, KEEP=1: only look)
	@$(BIN)/python -m tests.attack $(if $(ONLY),--only $(ONLY)) $(if $(SECONDS),--seconds $(SECONDS)) \
		$(if $(OLD),--old $(OLD)) $(if $(KEEP),--keep-going)

interop: $(READY) ## See how existing programs fare beside a node: ONLY='linking server' (SHORT=1, MODE=open, OLD=a revision instead: only look)
	@$(BIN)/python -m tests.interop $(if $(ONLY),--only '$(ONLY)') $(if $(SHORT),--short) $(if $(MODE),--mode $(MODE)) $(if $(OLD),--old $(OLD))

walk: $(READY) ## Follow one message through the modules of two servers: OLD=a revision before it (SHORT=1: only the counts)
	@$(BIN)/python -m tests.house.walk $(if $(SHORT),--short) $(OLD)

fuzz: $(READY) ## Feed every entry from outside what nobody would send: RUNS=10000000 or SECONDS=15 for each (ONLY=chat JOBS=2; CORPUS=1: then renew tests/fuzz/corpus)
	@$(BIN)/python -m tests.fuzz $(ONLY) $(if $(RUNS),--runs $(RUNS)) $(if $(SECONDS),--seconds $(SECONDS)) \
		$(if $(SEED),--seed $(SEED)) $(if $(JOBS),--jobs $(JOBS)) $(if $(CORPUS),--corpus)

power-cut: $(READY) ## Cut a node's power at many moments, see that nothing told as kept is lost: CUTS=200 (SEED=…, LIVE=10: a node after every tenth)
	@$(BIN)/python -m tests.power $(if $(CUTS),--cuts $(CUTS)) $(if $(LIVE),--live $(LIVE)) $(if $(SEED),--seed $(SEED))

mutants: $(READY) ## Put one fault after another into a copy, see that a test notices each: ONLY="kept-*"
	@$(BIN)/python -m tests.mutants $(if $(ONLY),--only "$(ONLY)")

format: $(READY) ## Format the sources
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

proto: $(READY) ## Generate the protobuf module
	@$(BIN)/python deploy/protobuf.py

dashboards: $(READY) ## Generate Grafana's dashboards
	@$(BIN)/python -m deploy.grafana.generate

documents: $(READY) ## Renew the parts of the documents that come from code: diagrams, configuration, the index of decisions
	@$(BIN)/python -m deploy.documents

picture: $(READY) ## Draw the README's conversation, from what two terminals showed
	@$(BIN)/python -m deploy.documents.conversation

bench: $(READY) ## Measure one federated hop, here and at the servers one would pick instead: ROUNDS=3, of throughput (ONLY=parley,c-relay)
	@deploy/bench-tools.sh
	@$(BIN)/python -m bench.hop $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only $(ONLY))

bench-curves: $(READY) ## Measure how costs grow, a quarter of an hour: WHAT="links groups" (SHORT=1)
	@$(BIN)/python -m bench.curves $(WHAT) $(if $(SHORT),--short)

$(DRAWING): $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat --editable '.[bench]'
	@touch $@

bench-plots: $(DRAWING) ## Draw what was measured: the plots and tables of docs/performance.md
	@$(BIN)/python -m bench.curves.plot

bench-federation: $(READY) ## Measure starting, linking and a mesh of 20 nodes
	@$(BIN)/python -m bench.federation

bench-guard: $(READY) ## See that no message costs more than it did: instructions, and speed beside a relay (UPDATE=1)
	@deploy/test-tools.sh valgrind
	@$(BIN)/python -m bench.guard $(if $(UPDATE),--update)

bench-history: $(READY) ## Measure the archive: how quickly it is filled, asked and opened, and its size (MESSAGES=1000000)
	@$(BIN)/python -m bench.history $(MESSAGES)

bench-idle: $(READY) ## Measure what costs who does nothing: 10,000 clients, a node at rest, datagrams of 30 nodes (WHAT=node)
	@$(BIN)/python -m bench.idle $(WHAT)

bench-mailbox: $(READY) ## Measure what waits: accepted, committed, started with, drained
	@$(BIN)/python -m bench.mailbox

bench-metrics: $(READY) ## Measure what counting costs a chat process
	@$(BIN)/python -m bench.metrics

bench-reconnect: $(READY) ## Cut 1,000 clients off at once and see when all are back, and what others feel
	@$(BIN)/python -m bench.reconnect

bench-restart: $(READY) ## Kill a chat process under load and see what was lost, and for how long
	@$(BIN)/python -m bench.restart

bench-typing: $(READY) ## Measure typing across 10 servers, and the datagrams for 10 to 2,000 subscribers
	@$(BIN)/python -m bench.typing

lock: ## Renew deploy/locks: the newest packages that pyproject.toml allows, with their hashes
	@deploy/lock.sh

sbom: ## Write what the image holds to build/sbom.json (CycloneDX), from its lock
	@deploy/sbom.sh

audit: ## Ask whether a package of the locks has a known vulnerability (exit code 3: nobody could be asked)
	@deploy/audit.sh

base-image: ## Make the container base image from Debian packages (for machines that reach no image registry)
	@deploy/base-image.sh

clean: ## Remove what the tools made
	@rm -rf shared/_core*.so $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
