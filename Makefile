# Pinflow. `make` or `make help` explains each target.
SHELL := /bin/bash
GO ?= go

.DEFAULT_GOAL := help

.PHONY: help
help: ## explain each target
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## build, then everything in one process with posts arriving; Ctrl-C ends it
	bin/pinflow up --emulate

.PHONY: build
build: ## build bin/pinflow (needs Go and gcc)
	$(GO) build -trimpath -ldflags "-X main.version=$$(git describe --always --dirty 2>/dev/null || echo unknown)" -o bin/pinflow ./cmd/pinflow

.PHONY: test
test: ## all tests; those of real rows and services need PINFLOW_TEST_ROWS and PINFLOW_TEST_STACK (see README)
	@test -n "$$PINFLOW_TEST_ROWS" || echo "Tests of real rows are skipped: set PINFLOW_TEST_ROWS to the folder of pins.ndjson to run them."
	@test -n "$$PINFLOW_TEST_STACK" || echo "Tests of real services are skipped: set PINFLOW_TEST_STACK to the folder of stack.sh to run them."
	@test -n "$$PINFLOW_TEST_PYTHON" || echo "Tests of Python clients are skipped: clients/install.sh says how to run them."
	$(GO) test -timeout 20m ./...

.PHONY: lint
lint: ## gofmt, go vet and staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "gofmt these: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

.PHONY: bench
bench: build ## the benchmarks of bench/RESULTS.md, each beside its peer in one run; those on real services need PINFLOW_TEST_STACK (see bench/peers)
	@test -n "$$PINFLOW_TEST_STACK" -a -n "$$STACK_DIR" || echo "Benchmarks on Kafka, PostgreSQL and S3, and their peers, are left out: set PINFLOW_TEST_STACK to the folder of stack.sh and STACK_DIR to one to install in."
	@command -v python3 >/dev/null || echo "Peers in Python are left out: there is no python3."
	$(GO) test -run '^$$' -bench . -benchtime 5s -timeout 120m ./bench/...

.PHONY: soak
soak: ## the tests by seeds with more of them, and faults by chance for half an hour: SEEDS=200 MINUTES=30 WORLDS=40 make soak
	PINFLOW_TEST_FULL=1 PINFLOW_SEEDS=$${SEEDS:-200} $(GO) test -count=1 -timeout 4h -run 'TestMemory|TestKill|TestSimulation|TestMetamorphic|TestSchedules|TestBeyondTheGrace|TestDuckDB|TestLake' ./cmd/pinflow ./lake ./refine ./refine/refinetest/model/...
	FAULT_MINUTES=$${MINUTES:-30} PINFLOW_SEEDS=$${WORLDS:-40} $(GO) test -count=1 -timeout 4h -v -run 'TestRandomFaults|TestSeeds' ./faults
