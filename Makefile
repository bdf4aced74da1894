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
# user's (in a container, say), which git refuses without this setting.
export GIT_CONFIG_COUNT   = 1
export GIT_CONFIG_KEY_0   = safe.directory
export GIT_CONFIG_VALUE_0 = $(CURDIR)

.DEFAULT_GOAL := build

.PHONY: build
build: ## static binary bin/ctwatch
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=auto -o bin/ctwatch ./cmd/ctwatch

# Everything is compiled once, for the race detector; vet and staticcheck go by the same.
# (Only the tools themselves, and the program that some tests run, are compiled without.)
# SQLite is C that was translated. Its memory is its own and not Go's, so that the detector
# finds nothing there: it would only make it ten times as slow.
RACE := -race -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libc/...=-race=false

# No test measures time: the limit ends what hangs.
TIMEOUT ?= 60m

# Half of the time that compilers and linters take goes into collecting garbage, unless they
# may use a little more memory.
lint tests: export GOGC = 400
lint tests: export GOMEMLIMIT = 2GiB

# THOROUGH=1 has tests do more of what is as good the more they do of it.
export CTWATCH_TEST_THOROUGH = $(THOROUGH)

.PHONY: test
test: deps corpora nginx ## everything that must pass: lint, and all tests under the race detector
	@.ci/tidy $(MAKE) --no-print-directory lint tests

.PHONY: tests
tests:
	@echo "testing: the packages are compiled and tested side by side; a line for each that is done, the first after a minute or more"
	CGO_ENABLED=1 $(GO) test $(RACE) -vet=off -timeout $(TIMEOUT) $(TESTFLAGS) $(PKGS)

# As on a machine that is busy with other things and has never built this before. The
# loops look whether this shell is there, so that they end with it in any case.
.PHONY: test-loaded
test-loaded: ## make test beside four busy loops, with an empty build cache
	@.ci/tidy sh -c 'for n in 1 2 3 4; do (while kill -0 $$$$ 2>/dev/null; do :; done) & done; \
	GOCACHE=$$TMPDIR/go STATICCHECK_CACHE=$$TMPDIR/staticcheck $(MAKE) --no-print-directory test TIMEOUT=180m; \
	status=$$?; kill $$(jobs -p); exit $$status'

.PHONY: lint
lint: ## gofumpt, go vet, staticcheck
	@echo "checking the format with gofumpt: it is compiled first, once"
	@files=$$(CGO_ENABLED=0 $(GO) tool gofumpt -l .) || exit 1; \
	if [ -n "$$files" ]; then echo "$$files"; echo "not formatted: run 'make fmt'"; exit 1; fi
	@echo "checking the code with go vet: all dependencies are compiled first, once, for some minutes"
	CGO_ENABLED=1 $(GO) vet $(RACE) $(PKGS)
	@echo "checking the code with staticcheck: it is compiled first and reads all dependencies, once, for a minute or more"
	@staticcheck=$$(CGO_ENABLED=0 $(GO) tool -n staticcheck) && \
	CGO_ENABLED=1 GOFLAGS="$$($(GO) env GOFLAGS) $(RACE)" "$$staticcheck" $(PKGS)

.PHONY: fmt
fmt: ## format all Go files
	$(GO) tool gofumpt -w .

# What is measured, against what goals and floors, is in .ci/bench-goals. A floor is what cannot be
# avoided, such as plain SQLite with the same rows, measured in the same run.
CERTIFICATES ?= 1000000
bench: export CTWATCH_TEST_CERTIFICATES = $(CERTIFICATES)
bench: export CTWATCH_TEST_STORES = $(CURDIR)/bin/stores
BENCHED = $(GO) test -run '^$$' -timeout 120m

.PHONY: bench
bench: ## speed, memory and size against their goals: half an hour, 4 GB in bin/stores
	@mkdir -p bin/stores; rm -f bin/bench.txt
	@echo "filling a store with $(CERTIFICATES) certificates, once (CERTIFICATES=20000 for a quick look), and measuring: results come as they are made"
	@for run in "-bench ^Benchmark(Read|Floor) -benchtime 5x ./ctwatch/follow" \
		"-bench (Load|Reload|Floor)(Million|One)Line -benchtime 3x ./ctwatch/watchlist" \
		"-bench Record(EveryEntry|Floor)$$ -benchtime 40x ./store" \
		"-bench (BytesPerCertificate|ListPage|ListFloor) -benchtime 1x ./store" \
		"-bench Deliver(Embedded|Floor) -benchtime 20000x ./notify/nats" \
		"-bench . -benchtime 10x ./ctwatch/planner" \
		"-bench (Start|PinsPlan|Lists)$$ -benchtime 3x ./cmd/ctwatch" \
		"-bench HundredLogs -benchtime 1x ./cmd/ctwatch/daemon"; \
	do $(BENCHED) $$run | tee -a bin/bench.txt | grep -E '^(Benchmark|FAIL|---|panic)'; done
	@echo; awk -f .ci/bench-table .ci/bench-goals bin/bench.txt
	@CTWATCH_TEST_THOROUGH=1 $(GO) test -count=1 -run '^TestMemory$$' -v ./cmd/ctwatch | grep -E 'MiB|FAIL'
	@echo "(goal: at most 64 MiB)"

.PHONY: microbench
microbench: ## all benchmarks; BENCH=regexp for some
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
# not. Pins are tried on the clients that check them: OkHttp on the JVM, curl, wget and
# OpenSSL; and files on xmllint and Python's reader of property lists.
PROGRAMS = curl wget openssl xmllint python3 java javac
PACKAGES = gcc libc6-dev curl wget openssl libxml2-utils python3 default-jdk-headless libokhttp-java libokio-java

.PHONY: deps
deps:
	@try() { echo '#include <stdlib.h>' | $${CC:-gcc} -x c -fsyntax-only - 2>/dev/null && \
		for p in $(PROGRAMS); do command -v $$p >/dev/null || return 1; done && \
		test -e /usr/share/java/okhttp.jar -o -e /usr/share/java/okhttp-3.13.1.jar && test -e /usr/share/java/okio.jar; }; \
	try && exit 0; \
	if [ "$$(id -u)" = 0 ]; then root=; \
	elif sudo -n true 2>/dev/null; then root="sudo -n"; \
	else root=none; fi; \
	if [ "$$root" = none ] || ! command -v apt-get >/dev/null; then \
		echo "The tests need a C compiler and programs that check pins." >&2; \
		echo "Install them, on Debian with: sudo apt-get install $(PACKAGES)" >&2; exit 1; \
	fi; \
	echo "installing what the tests need: $(PACKAGES)"; \
	$$root apt-get update -qq && \
	DEBIAN_FRONTEND=noninteractive $$root apt-get install -y -qq --no-install-recommends $(PACKAGES) >/dev/null && try

# Certificates that other parsers are tested with, for a comparison of names and keys.
# They are read from the module cache and are no dependencies; without a network the
# test that wants them skips, and says so.
.PHONY: corpora
corpora:
	-@cd / && GOWORK=off GOFLAGS= $(GO) mod download github.com/zmap/zlint/v3@v3.7.3 \
		github.com/google/certificate-transparency-go@v1.4.0 github.com/cloudflare/cfssl@v1.6.5

# A proxy that people have, to try who needs a token behind it. It is unpacked into bin,
# since Debian starts what is installed. Without it the test that wants it skips, and
# says so.
.PHONY: nginx
nginx:
	-@PATH=$$PATH:/usr/sbin; command -v nginx >/dev/null || test -x bin/nginx/usr/sbin/nginx || \
	{ command -v apt-get >/dev/null && mkdir -p bin/nginx && cd bin/nginx && \
	apt-get -qq -o APT::Sandbox::User=root download nginx && dpkg -x nginx_*.deb . ; }

.PHONY: clean
clean: ## remove what was built
	rm -rf bin

.PHONY: help
help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
