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

# Reading 200,192 entries of a log on loopback, fully verified, against the floor: what
# no reader can do without, measured in the same run.
.PHONY: bench
bench: ## reading speed and memory against their goals; PROFILE=1 writes bin/cpu.out
	@mkdir -p bin
	$(GO) test -run '^$$' -bench '^Benchmark(Read|Floor)' -benchtime 5x $(if $(PROFILE),-cpuprofile bin/cpu.out -o bin/follow.test) ./ctwatch/follow | tee bin/bench.txt
	@awk "$$GOALS" bin/bench.txt
	CTWATCH_TEST_THOROUGH=1 $(GO) test -count=1 -run '^TestMemory$$' -v ./cmd/ctwatch | grep -E 'MiB|FAIL'
	@echo "(goal: at most 64 MiB)"

define GOALS
/^Benchmark/ { sub(/-[0-9]+$$/, "", $$1); for (i = 2; i < NF; i++) { if ($$(i+1) == "cpu-µs/entry") cpu[$$1] = $$i; if ($$(i+1) == "entries/s") rate[$$1] = $$i } }
function row(what, goal, name, floor) { printf "%-34s %6s %8.2f %8.2f %6.2f\n", what, goal, cpu["Benchmark" name], cpu["Benchmark" floor], cpu["Benchmark" name] / cpu["Benchmark" floor] }
END {
  if (!cpu["BenchmarkFloorStatic"] || !cpu["BenchmarkFloorRFC6962"]) exit 1
  printf "\n%-34s %6s %8s %8s %6s\n", "CPU µs per entry, fully verified", "goal", "measured", "floor", "ratio"
  row("static, 1,000 domains", "6.5", "ReadStatic1000Domains", "FloorStatic")
  row("static, 1,000,000 domains", "7.5", "ReadStatic1000000Domains", "FloorStatic")
  row("RFC 6962, 1,000 domains", "6", "ReadRFC6962With1000Domains", "FloorRFC6962")
  printf "%-34s %6s %8d entries/s\n", "static, over a link of 50 ms", "40000", rate["BenchmarkReadStaticOverALink"]
}
endef
export GOALS

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
