# The targets of the tree; `make help` lists them.

GO ?= go
# Packages that make check tests with the race detector; PKG=./scsi/... narrows it.
PKG ?= ./...
FUZZTIME ?= 60s
ROUNDS ?= 5
BENCHCOUNT ?= 6
BENCHSTAT := v0.0.0-20260908200009-22c9c6c9d4da

# What needs root is run with sudo by those who are not root; it keeps their
# PATH, which leads to Go.
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo 'sudo --preserve-env=PATH,SOURCE_DATE_EPOCH,GOFLAGS,GOPROXY,GOCACHE,GOMODCACHE env "PATH=$$PATH"')

GOLANGCI_VERSION := v2.15.0
CACHE := $(CURDIR)/.cache
GOLANGCI := $(CACHE)/golangci-lint-$(GOLANGCI_VERSION)/golangci-lint

# The version comes from git by way of the build's own record; a tree without
# git, or one that git does not trust, builds all the same.
VCS := $(shell git rev-parse --git-dir >/dev/null 2>&1 && git status --porcelain >/dev/null 2>&1 && echo true || echo false)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## static bin/esos and bin/esos-target
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=$(VCS) -o bin/ ./cmd/esos ./cmd/esos-target

.PHONY: run
run: build ## serve a 1 GiB thin disk from ./var on 127.0.0.1:3260; Ctrl-C ends it
	@exec bin/esos serve --data-dir var

.PHONY: image
image: ## the appliance's image: .cache/image/out/esos.img (needs root or sudo); IMAGE_FLAGS go to mkesos build
	@mkdir -p $(CACHE)
	scripts/install-deps image
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=$(VCS) -o bin/mkesos ./cmd/mkesos
	$(SUDO) bin/mkesos build $(IMAGE_FLAGS)

.PHONY: boot
boot: image ## run the appliance in QEMU: its console here, iSCSI on 3260, API on 8443, SSH on 2222 of localhost; RUN_FLAGS go to mkesos run
	scripts/install-deps run
	@exec bin/mkesos run --document examples/appliance.yaml --state $(CACHE)/run $(RUN_FLAGS)

.PHONY: check
check: format vet lint unit ## gofmt, vet, golangci-lint, unit tests with -race: what a commit must pass

.PHONY: format
format:
	@out=$$(gofmt -l $$(git ls-files '*.go' 2>/dev/null || find . -name '*.go' -not -path './.cache/*')); \
	if [ -n "$$out" ]; then echo "gofmt these files:"; echo "$$out"; exit 1; fi

.PHONY: vet
vet:
	$(GO) vet ./...

.PHONY: lint
lint: $(GOLANGCI)
	$(GOLANGCI) run ./...

$(GOLANGCI):
	@echo "building golangci-lint $(GOLANGCI_VERSION), once"
	GOBIN=$(dir $(GOLANGCI)) GOFLAGS= $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

.PHONY: unit
unit:
	ESOS_TEST= CGO_ENABLED=1 $(GO) test -race -timeout 5m $(PKG)

.PHONY: deps
deps: ## install with apt what the tests need (needs root or sudo)
	scripts/install-deps test

.PHONY: test
test: deps check ## all of check, conformance, and one end-to-end test in a VM for each area; under 30 minutes
	ESOS_TEST=smoke $(GO) test -count=1 -timeout 25m -p 1 -v ./test/... | scripts/verdicts

.PHONY: test-full
test-full: deps check ## every bar that a machine can check
	ESOS_TEST=full $(GO) test -count=1 -timeout 80m -p 1 -v ./test/... | scripts/verdicts

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (60s) each
	FUZZTIME=$(FUZZTIME) scripts/fuzz

.PHONY: bench
bench: ## the Go benchmarks of all packages, BENCHCOUNT (6) times, kept in bench/results/new.txt
	$(GO) test -run '^$$' -bench . -benchmem -benchtime 0.5s -count $(BENCHCOUNT) ./... > bench/results/new.txt || { cat bench/results/new.txt; exit 1; }
	grep -E '^(Benchmark|pkg)' bench/results/new.txt

.PHONY: bench-compare
bench-compare: ## what make bench kept, against the results in the tree
	$(GO) run golang.org/x/perf/cmd/benchstat@$(BENCHSTAT) bench/results/go.txt bench/results/new.txt

.PHONY: bench-peers
bench-peers: build ## ESOS and Debian's tgt side by side, ROUNDS (5) alternating rounds
	scripts/install-deps bench
	$(GO) run ./bench/peers -rounds $(ROUNDS) -out bench/results/peers-new.txt

.PHONY: bench-boot
bench-boot: ## from the kernel's start to a served LUN, beside stock Debian 13 to its SSH; ROUNDS alternating rounds
	scripts/install-deps test
	$(GO) run ./bench/boot -rounds $(ROUNDS)

.PHONY: clean
clean: ## remove what was built; ./var stays
	rm -rf bin .cache
