# The two commands of the README are `make demo` and `make test`; both install what they need first (scripts/setup.sh).
JOBS ?= $(shell nproc)
BUILD := build/release
SECONDS ?= 60
STATEMENTS ?= 100000
ROWS ?= 20000
ROUNDS ?= 40
KILLS ?= 200
PORT ?= 8787
QUERIES ?= 50000
CTEST := ctest --output-on-failure --no-tests=error -j $(JOBS)

.PHONY: all build setup test dist inspect soak churn fuzz bench demo sanitize tidy format check-format clean help

all: build

help:
	@echo 'make              set up and build build/release/lm_diskann.duckdb_extension and lm_diskann_shell'
	@echo 'make test         all tests'
	@echo 'make dist         the release archive, in build/release/dist'
	@echo 'make inspect      DB=file.duckdb: a page to look at its indexes, on 127.0.0.1, PORT=8787'
	@echo 'make soak         random faults and losses of power for SECONDS=60, KILLS=200 process kills,'
	@echo '                  QUERIES=50000 random queries, STATEMENTS=100000 of random SQL'
	@echo 'make churn        ROWS=20000 real vectors, 5 % replaced ROUNDS=40 times, held against an index built anew'
	@echo 'make demo         an index on real vectors: words by default,'
	@echo '                  or PARQUET=file.parquet COLUMN=vec METRIC=l2sq|cosine|ip'
	@echo 'make bench        speed and recall beside other libraries, SETS="a b", QUICK=1: build/bench/report.html'
	@echo 'make sanitize     tests of the core under address and undefined, then under thread sanitizer'
	@echo 'make fuzz         hostile files, options and operations under libFuzzer, SECONDS=60 each'
	@echo 'make check-duckdb NODE_API=1.5.5-r.5 HEADERS=src/include: build and test against another DuckDB'
	@echo 'make tidy         clang-tidy over all sources'
	@echo 'make format       format the C++ sources (make check-format only checks)'
	@echo 'make clean        remove build/ (node_modules stays)'
	@echo 'JOBS=n with any of them: so many processors, not all'

setup:
	@scripts/setup.sh

# Configuring again is cheap, prints nothing, and lets a changed option or package be seen.
build: setup
	@cmake -G Ninja -S . -B $(BUILD) --log-level=WARNING >$(BUILD).log || { cat $(BUILD).log; false; }
	@[ -t 1 ] || [ -e $(BUILD)/lm_diskann_shell ] || echo 'compiling, 5 to 10 minutes on two cores'
	@if ninja -C $(BUILD) -n | grep -q 'no work to do'; then :; \
		elif [ -t 1 ]; then ninja -C $(BUILD) -j $(JOBS); else ninja --quiet -C $(BUILD) -j $(JOBS); fi
	@echo 'built $(BUILD)/lm_diskann.duckdb_extension and $(BUILD)/lm_diskann_shell'

test: build
	@$(CTEST) --progress --test-dir $(BUILD)

dist: build
	@cmake --build $(BUILD) --target dist

inspect: build
	@node inspect/server.mjs --db '$(DB)' --port '$(PORT)'

CHURN := node test/churn/churn.mjs $(BUILD)/test/churn $(BUILD)

churn: build
	@$(CHURN) sift-photos-128-l2 window $(ROWS) $(ROUNDS) 16,24,40
	@$(CHURN) imdb-pvdbow-384-cos window $(ROWS) $(ROUNDS) 16,24,40
	@$(CHURN) sift-photos-128-l2 duplicates $(ROWS) $(ROUNDS) 16,24,40
	@$(CHURN) sift-photos-128-l2 clusters $(ROWS) $(ROUNDS) 16,24,40
	@$(CHURN) imdb-pvdbow-384-cos clusters $(ROWS) $(ROUNDS) 16,24,40
	@$(CHURN) imdb-pvdbow-384-cos duplicates $(ROWS) $(ROUNDS) 24,40

soak: build
	@$(BUILD)/test/soak_sim $(SECONDS)
	@$(BUILD)/test/soak_kill $(KILLS)
	@$(BUILD)/test/soak_queries $(QUERIES)
	@$(BUILD)/test/soak_dml $(STATEMENTS)

demo: build
	@node demo/demo.mjs $(if $(PARQUET),--parquet '$(PARQUET)') $(if $(COLUMN),--column '$(COLUMN)') \
		$(if $(METRIC),--metric '$(METRIC)')

fuzz: setup
	@scripts/fuzz.sh $(SECONDS)

bench: build
	@scripts/setup.sh bench
	@cmake -G Ninja -S . -B build/bench -DBUILD_BENCH=ON -DBUILD_TESTING=OFF -DBUILD_DUCKDB_TARGETS=OFF \
		--log-level=WARNING >build/bench.log 2>&1 || { cat build/bench.log; false; }
	@ninja --quiet -C build/bench -j $(JOBS) core_bench
	@SETS='$(SETS)' QUICK='$(QUICK)' KEEP='$(KEEP)' RUNS='$(RUNS)' node bench/run.mjs

sanitize: setup
	@scripts/sanitize.sh $(JOBS)

tidy: build
	@scripts/tidy.sh

.PHONY: check-duckdb
check-duckdb: setup
	@scripts/check_duckdb.sh '$(NODE_API)' '$(HEADERS)' $(JOBS)

format: setup
	@scripts/format.sh

check-format: setup
	@scripts/format.sh --check

clean:
	rm -rf build
