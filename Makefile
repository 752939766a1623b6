# Grange: build, run and test. `make help` lists the targets.
SHELL := /bin/bash
GO    ?= go
HOME_DIR ?= $(CURDIR)/build/local
ARGS  ?=

# One set of flags everywhere, so that the build cache serves every target.
export GOFLAGS := -buildvcs=false
BUILD := $(GO) build -p 2 -ldflags "-s -w"
TOOLS := $(CURDIR)/.tools

.DEFAULT_GOAL := help
.PHONY: help up build web web-check test race lint fmt vet vuln proto tools deps bench clients clean check

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: build ## build and start a local network (HOME_DIR=..., ARGS="--ports auto")
	@exec bin/grange up --home "$(HOME_DIR)" $(ARGS)

build: ## build bin/grange with the web app in it
	@scripts/deps build
	@scripts/web
	@scripts/progress "building bin/grange (a first build takes about 4 minutes on 2 cores)" $(BUILD) -o bin/grange ./cmd/grange

web: ## build the web app (build does, when its sources are newer)
	@scripts/web

web-check: ## types and unit tests of the web app
	@scripts/web check
	@scripts/web test

test: ## run every test
	@scripts/deps test
	$(GO) test -p 2 -timeout 20m ./...

race: ## run the tests of the packages that share memory under the race detector
	$(GO) test -p 2 -race -short -timeout 15m ./core/... ./tunnel/... ./vertical/storage/erasure/... ./vertical/storage/piece/... ./vertical/storage/proof/...

fmt: ## fail when a file is not formatted
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not formatted:"; echo "$$out"; exit 1; fi

vet: ## go vet
	$(GO) vet ./...

tools: $(TOOLS)/golangci-lint $(TOOLS)/govulncheck ## build the pinned tools

$(TOOLS)/golangci-lint $(TOOLS)/govulncheck &: tools/go.mod tools/go.sum
	@scripts/progress "building the pinned tools" $(GO) build -C tools -p 2 -o "$(TOOLS)/" github.com/golangci/golangci-lint/v2/cmd/golangci-lint golang.org/x/vuln/cmd/govulncheck

lint: tools ## golangci-lint with the import rules
	$(TOOLS)/golangci-lint run --allow-parallel-runners

vuln: tools ## known vulnerabilities (VULNDB=DIR for an offline database)
	@scripts/vuln

proto: ## generate protocol code
	$(GO) run ./internal/protogen

bench: build ## measure beside the physical bound, print the table of docs/benchmarks.md
	@scripts/deps bench
	scripts/bench

clients: build ## let real NTRIP, MQTT, Parquet, GIS and SensorThings clients at a fresh network
	@scripts/deps clients
	@scripts/clients/all

check: fmt vet lint vuln web-check race test ## everything CI checks

clean: ## remove what was built (not the local network's data)
	rm -rf bin .tools
