# make test is all that a fresh machine needs: Go, git and make must be there, the
# rest it installs. Tools come with the module (the "tool" lines of go.mod).

GO        ?= go
PKGS      ?= ./...
TESTFLAGS ?=
BENCH     ?= .
BENCHTIME ?= 1s
# Inputs, not seconds: before Go 1.27 a run that ends by the clock may fail for that
# alone (go.dev/issue/75804).
FUZZTIME  ?= 20000x

# The commit goes into the binary, where there is one. The checkout may be another
# user's (in a container, say), which git minds unless it is told.
export GIT_CONFIG_COUNT   = 1
export GIT_CONFIG_KEY_0   = safe.directory
export GIT_CONFIG_VALUE_0 = $(CURDIR)

.DEFAULT_GOAL := build

.PHONY: build
build: ## static binary bin/ctwatch
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=auto -o bin/ctwatch ./cmd/ctwatch

.PHONY: test
test: deps lint ## everything that must pass: lint, and all tests under the race detector
	CGO_ENABLED=1 $(GO) test -race -timeout 12m $(TESTFLAGS) $(PKGS)

.PHONY: lint
lint: ## gofumpt, go vet, staticcheck
	@echo "gofumpt -l ."; files=$$($(GO) tool gofumpt -l .) || exit 1; \
	if [ -n "$$files" ]; then echo "$$files"; echo "not formatted: run 'make fmt'"; exit 1; fi
	$(GO) vet $(PKGS)
	$(GO) tool staticcheck $(PKGS)

.PHONY: fmt
fmt: ## format all Go files
	$(GO) tool gofumpt -w .

.PHONY: bench
bench: ## all benchmarks; BENCH=regexp for some
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -benchtime $(BENCHTIME) $(PKGS)

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME inputs
	@targets=$$($(GO) test -list '^Fuzz' $(PKGS)) || { echo "$$targets"; exit 1; }; \
	echo "$$targets" | awk '/^Fuzz/ { f[++n] = $$1 } /^ok/ { for (i = 1; i <= n; i++) print $$2, f[i]; n = 0 }' | \
	while read -r pkg target; do \
		echo "$$pkg $$target"; \
		$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	done

.PHONY: cover
cover: ## coverage of each package by all tests, and in total
	@mkdir -p bin
	$(GO) test -coverpkg ./... -coverprofile bin/cover.out $(PKGS)
	$(GO) tool cover -func bin/cover.out | tail -n 1

# The race detector needs a C compiler and the C library's headers; the product does
# not.
.PHONY: deps
deps:
	@try() { echo '#include <stdlib.h>' | $${CC:-gcc} -x c -fsyntax-only - 2>/dev/null; }; \
	try && exit 0; \
	if [ "$$(id -u)" = 0 ]; then root=; \
	elif sudo -n true 2>/dev/null; then root="sudo -n"; \
	else root=none; fi; \
	if [ "$$root" = none ] || ! command -v apt-get >/dev/null; then \
		echo "The race detector needs a C compiler and the C library's headers." >&2; \
		echo "Install them, on Debian with: sudo apt-get install gcc libc6-dev" >&2; exit 1; \
	fi; \
	echo "installing gcc and libc6-dev, which the race detector needs"; \
	$$root apt-get update -qq && \
	DEBIAN_FRONTEND=noninteractive $$root apt-get install -y -qq --no-install-recommends gcc libc6-dev >/dev/null && try

.PHONY: clean
clean: ## remove what was built
	rm -rf bin

.PHONY: help
help:
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
