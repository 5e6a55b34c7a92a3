# sentinel-spoa: `make` builds build/release/sentinel-spoa, `make help` lists what else there is.
#
# Each variant has its own tree build/VARIANT/: obj/ (objects beside their dependency files), sentinel-spoa,
# tests/ (a program per tests/unit/**/test_*.c), sim (all of tests/sim/), fuzz/ (a program per tests/fuzz/fuzz_*.c) and
# bench/ (a program per tests/bench/*.c).

# The one place for it: tests/tools/version.sh finds files that say another one.
VERSION := 0.1.0
# Where the tree comes without git: what is being built.
REVISION ?=
VARIANTS := release asan cov fuzz

prefix ?= /usr/local
bindir ?= $(prefix)/bin
docdir ?= $(prefix)/share/doc/sentinel-spoa
mandir ?= $(prefix)/share/man
datadir ?= $(prefix)/share
# Where systemd is, its unit, its socket, its user and HAProxy's folder in /run are installed as well. Empty: they are not.
systemd ?= $(wildcard /run/systemd/system)
unitdir ?= $(prefix)/lib/systemd/system
sysusersdir ?= $(prefix)/lib/sysusers.d
tmpfilesdir ?= $(prefix)/lib/tmpfiles.d

ifeq ($(origin CC),default)
CC := gcc
endif
PYTHON ?= /usr/bin/python3
# Scripts of the simulation; of each that `make test` runs (release and asan). Empty: the numbers below.
RUNS ?=
RUNS_release := 50000
RUNS_asan := 2000
RUNS_cov := 2000
RUNS_valgrind := 50

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

# V=1 shows the commands; otherwise a short line for each; with -s nothing.
Q := $(if $(filter-out 0,$(V)),,@)
quiet := $(or $(filter-out 0,$(V)),$(findstring s,$(filter-out --%,$(firstword -$(MAKEFLAGS)))))
MAKEFLAGS += --no-builtin-rules --no-print-directory
say = $(if $(quiet),,@printf '  %-5s %s\n' $(1) $(2))

# --- Flags. CFLAGS, CPPFLAGS and LDFLAGS of the caller come last and so win. WERROR= keeps warnings warnings. ---

WERROR ?= -Werror
WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-align -Wstrict-prototypes -Wold-style-definition \
    -Wmissing-prototypes -Wmissing-include-dirs -Wnested-externs -Wformat=2 -Wwrite-strings -Wundef -Wvla \
    -Wpointer-arith -Winit-self -Wfloat-equal -Wdate-time -Wendif-labels
# Not -Wlogical-op: it objects to "errno == EAGAIN || errno == EWOULDBLOCK".
WARNINGS_gcc := -Wduplicated-cond -Wduplicated-branches -Wjump-misses-init -Wsuggest-attribute=noreturn
compiler := $(if $(findstring clang,$(shell $(CC) --version 2>/dev/null)),clang,gcc)
# libFuzzer is clang's.
$(foreach v,$(filter-out fuzz,$(VARIANTS)),$(eval CC_$v = $(CC))$(eval compiler_$v := $(compiler)))
CC_fuzz := clang
compiler_fuzz := clang

# libev's macros type-pun its watchers, hence -fno-strict-aliasing.
BASE_FLAGS = -std=c11 -g $(WARNINGS) $(WARNINGS_$(compiler_$(1))) $(WERROR) -fno-strict-aliasing -fno-common \
    -fstack-protector-strong -fstack-clash-protection -fPIE -pthread
BASE_CPPFLAGS := -I. -D_GNU_SOURCE

# Not with clang: Debian's needs packages for it that clang does not bring.
lto_gcc := -flto=auto -ffat-lto-objects
FLAGS_release := -O2 $(lto_$(compiler)) -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
FLAGS_asan := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
FLAGS_cov := -O0 --coverage
FLAGS_fuzz := -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LDFLAGS_release := -O2 $(lto_$(compiler)) -pie -Wl,-z,relro,-z,now
LDFLAGS_asan := -pie -fsanitize=address,undefined
LDFLAGS_cov := -pie --coverage
LDFLAGS_fuzz := -pie -fsanitize=fuzzer,address,undefined

# Asked once, when first needed: `make deps` and `make help` must work without pkg-config. The libraries' headers are
# system headers (-isystem), so that our warnings do not apply to their macros. libev and uthash have no .pc file.
PACKAGES = hiredis libmicrohttpd $(if $(WITH_TLS),openssl)
pkg_config = $(shell pkg-config $(1) || echo failed)
checked = $(if $(filter failed,$(1)),$(error a library is missing: run `make deps`),$(1))
LIBS_CFLAGS = $(eval LIBS_CFLAGS := $$(patsubst -I%,-isystem %,$$(call checked,$$(call pkg_config,--cflags $(PACKAGES)))))$(LIBS_CFLAGS)
LIBS = $(eval LIBS := $$(call checked,$$(call pkg_config,--libs $(PACKAGES))) -lev -pthread)$(LIBS)
CMOCKA_LIBS = $(eval CMOCKA_LIBS := $$(call checked,$$(call pkg_config,--libs cmocka)))$(CMOCKA_LIBS)

# --- Sources ---

PROTO := $(wildcard proto/*.c)
# A room is a folder; spoa/core/README.md says what stands in which.
CORE := $(wildcard spoa/core/*/*.c)
# TLS is left out where OpenSSL is missing, or by WITH_TLS= on the command line.
WITH_TLS := $(shell pkg-config --exists openssl 2>/dev/null && echo yes)
IO := $(filter-out $(if $(WITH_TLS),spoa/io/net/tls_none.c,spoa/io/net/tls.c),$(wildcard spoa/io/*/*.c))
# What stands beside main.c.
TOP := $(filter-out spoa/main.c,$(wildcard spoa/*.c spoa/cli/*.c))
TEST_LIB := $(wildcard tests/lib/*.c)
UNIT := $(wildcard tests/unit/proto/test_*.c tests/unit/core/*/test_*.c)
# Those of io/ and cli/ link the whole program but main.c.
UNIT_IO := $(filter-out $(if $(WITH_TLS),,tests/unit/io/net/test_tls.c),\
    $(wildcard tests/unit/io/test_*.c tests/unit/io/*/test_*.c tests/unit/cli/test_*.c))
# In these the tests let allocations fail.
WITHOUT_MEMORY := cli/test_short_of_memory io/test_out_of_memory io/net/test_names_out_of_memory io/net/test_net_out_of_memory
SIM := $(wildcard tests/sim/*.c)
FUZZ := $(wildcard tests/fuzz/fuzz_*.c)
BENCH := $(wildcard tests/bench/*.c)
C_FILES := $(sort $(shell find proto spoa tests -name '*.[ch]'))

objects = $(patsubst %.c,build/$(1)/obj/%.o,$(2))
unit_programs = $(patsubst tests/unit/%.c,build/$(1)/tests/%,$(UNIT) $(UNIT_IO))
sim_program = $(if $(SIM),build/$(1)/sim)
fuzz_programs = $(patsubst tests/fuzz/%.c,build/$(1)/fuzz/%,$(FUZZ))
bench_programs := $(patsubst tests/bench/%.c,build/release/bench/%,$(BENCH))

# --- Building: the same rules for each variant ---

define variant_rules
build/$(1)/sentinel-spoa: $(call objects,$(1),spoa/main.c $(TOP) $(IO) $(CORE) $(PROTO))
	$$(link)

$(patsubst tests/unit/%.c,build/$(1)/tests/%,$(UNIT)): build/$(1)/tests/%: build/$(1)/obj/tests/unit/%.o \
    $(call objects,$(1),$(TEST_LIB) $(CORE) $(PROTO))
	$$(link)

$(patsubst tests/unit/%.c,build/$(1)/tests/%,$(UNIT_IO)): build/$(1)/tests/%: build/$(1)/obj/tests/unit/%.o \
    $(call objects,$(1),$(TEST_LIB) $(TOP) $(IO) $(CORE) $(PROTO))
	$$(link)

build/$(1)/sim: $(call objects,$(1),$(SIM) $(CORE) $(PROTO))
	$$(link)

# With libFuzzer's own main() where it is there.
build/$(1)/fuzz/%: build/$(1)/obj/tests/fuzz/%.o $(call objects,$(1),$(if $(filter fuzz,$(1)),,tests/fuzz/replay.c) $(IO) $(CORE) $(PROTO))
	$$(link)

build/$(1)/reference: $(call objects,$(1),tests/tools/reference.c tests/lib/reference.c $(CORE) $(PROTO))
	$$(link)

build/$(1)/bench/%: build/$(1)/obj/tests/bench/%.o $(call objects,$(1),$(PROTO))
	$$(link)

build/$(1)/obj/%.o: %.c build/$(1)/flags
	$$(call say,CC,$$@)
	@mkdir -p $$(@D)
	$$(Q)$(CC_$(1)) $(BASE_CPPFLAGS) $$(OWN_CPPFLAGS) $$(CPPFLAGS) $(BASE_FLAGS) $(FLAGS_$(1)) $$(LIBS_CFLAGS) $$(CFLAGS) \
	    -MMD -MP -c -o $$@ $$<

build/$(1)/sentinel-spoa build/$(1)/tests/% build/$(1)/sim build/$(1)/fuzz/% build/$(1)/reference build/$(1)/bench/%: VARIANT := $(1)
build/$(1)/sentinel-spoa build/$(1)/fuzz/% $(patsubst tests/unit/%.c,build/$(1)/tests/%,$(UNIT_IO)): LINK_LIBS = $$(LIBS)
# Without link-time optimisation: over a hundred programs, and seconds for each.
$(call unit_programs,$(1)): TEST_LIBS = $$(CMOCKA_LIBS) -fno-lto
$(addprefix build/$(1)/tests/,$(WITHOUT_MEMORY)): TEST_LIBS += $(foreach f,malloc calloc realloc strdup strndup,-Wl,--wrap=$f)
build/$(1)/tests/cli/test_short_of_memory: TEST_LIBS += -Wl,--wrap=asprintf
build/$(1)/tests/core/haproxy/test_cut_debts_growth: TEST_LIBS += -Wl,--wrap=strcmp
build/$(1)/obj/spoa/core/status/status_page.o: build/status_page.inc
build/$(1)/obj/spoa/main.o: build/revision
build/$(1)/obj/spoa/main.o: private OWN_CPPFLAGS = -DSENTINEL_SPOA_VERSION='"$(VERSION)"' \
    -DSENTINEL_SPOA_REVISION='"$$(file <build/revision)"'

# cmocka 2.0 deprecates some macros for which cmocka 1.1 has no others.
build/$(1)/obj/tests/%.o: private OWN_CPPFLAGS = -Wno-deprecated-declarations

# Other flags, other objects.
build/$(1)/flags: FORCE
	@mkdir -p $$(@D)
	@$$(call replace,$(CC_$(1)) $(BASE_CPPFLAGS) $$(CPPFLAGS) $(BASE_FLAGS) $(FLAGS_$(1)) $$(CFLAGS))
endef

define link
$(call say,LINK,$@)
@mkdir -p $(@D)
$(Q)$(CC_$(VARIANT)) $(LDFLAGS_$(VARIANT)) $(LDFLAGS) -o $@ $^ $(LINK_LIBS) $(TEST_LIBS)
endef

# Writes the target only where that changes it.
replace = printf '%s' '$(subst ','\'',$(1))' | cmp -s - $@ || printf '%s' '$(subst ','\'',$(1))' > $@

$(foreach v,$(VARIANTS),$(eval $(call variant_rules,$v)))

# The page's bytes as numbers, for C.
build/status_page.inc: spoa/core/status/status_page.html
	@mkdir -p build
	@od -An -v -tu1 $< | sed 's/[0-9][0-9]*/&,/g' > $@

build/revision: FORCE
	@mkdir -p build
	@$(call replace,$(or $(REVISION),$(shell git describe --always --dirty 2>/dev/null || echo unknown)))

-include $(shell find $(VARIANTS:%=build/%) -name '*.d' 2>/dev/null)

.SECONDARY:
.PHONY: FORCE all $(foreach v,$(VARIANTS),unit-$v sim-$v fuzz-$v) fuzz test unit sim integration model scenarios failover-report false-alarms \
    clients-report asan-test valgrind coverage mutation test-matrix soak bench demo demo-compose image image-test deb deb-test rpm rpm-test deploy-test engine-test \
    lint format deps docs man install uninstall clean help

##@ Build
all: build/release/sentinel-spoa ## build/release/sentinel-spoa (the default)

$(foreach v,$(VARIANTS),$(eval unit-$v: FORCE $(call unit_programs,$v)))
$(foreach v,$(VARIANTS),$(eval sim-$v: FORCE $(call sim_program,$v)))
$(foreach v,$(VARIANTS),$(eval fuzz-$v: FORCE $(call fuzz_programs,$v)))

# What is written of the keywords comes from their table, spoa/core/config/config_keyword_table.c.
REFERENCES := spoa/doc/configuration.md spoa/man/sentinel-spoa.conf.5.scd haproxy-conf/sample.conf

docs: build/release/reference ## the keywords in the documentation, the manual page and the sample, from their table
	$(Q)for file in $(REFERENCES); do \
	    $< $$file > build/reference.new || exit 1; \
	    cmp -s build/reference.new $$file || cp build/reference.new $$file; \
	done

MAN_PAGES := $(patsubst spoa/man/%.scd,build/man/%,$(wildcard spoa/man/*.scd))

man: $(MAN_PAGES) ## the manual pages, into build/man (needs scdoc)

build/man/%: spoa/man/%.scd
	$(call say,SCDOC,$@)
	@mkdir -p $(@D)
	$(Q)scdoc < $< > $@

define install_units
install -d $(DESTDIR)$(unitdir)
sed 's,/usr/bin/,$(bindir)/,' docker/systemd/sentinel-spoa.service > $(DESTDIR)$(unitdir)/sentinel-spoa.service
chmod 644 $(DESTDIR)$(unitdir)/sentinel-spoa.service
install -m 644 docker/systemd/sentinel-spoa.socket $(DESTDIR)$(unitdir)/sentinel-spoa.socket
install -D -m 644 docker/systemd/sentinel-spoa.sysusers $(DESTDIR)$(sysusersdir)/sentinel-spoa.conf
install -D -m 644 docker/systemd/sentinel-spoa.tmpfiles $(DESTDIR)$(tmpfilesdir)/sentinel-spoa.conf
endef

install: all man ## into $(DESTDIR)$(prefix): the agent, manual pages, completions, documentation, examples, systemd's units
	install -D -m 755 build/release/sentinel-spoa $(DESTDIR)$(bindir)/sentinel-spoa
	install -D -m 644 build/man/sentinel-spoa.1 $(DESTDIR)$(mandir)/man1/sentinel-spoa.1
	install -D -m 644 build/man/sentinel-spoa.conf.5 $(DESTDIR)$(mandir)/man5/sentinel-spoa.conf.5
	install -D -m 644 spoa/completions/sentinel-spoa.bash $(DESTDIR)$(datadir)/bash-completion/completions/sentinel-spoa
	install -D -m 644 spoa/completions/_sentinel-spoa $(DESTDIR)$(datadir)/zsh/vendor-completions/_sentinel-spoa
	install -D -m 644 spoa/completions/sentinel-spoa.fish $(DESTDIR)$(datadir)/fish/vendor_completions.d/sentinel-spoa.fish
	install -d $(DESTDIR)$(docdir)/spoa/doc/pictures
	install -m 644 $(wildcard README.md LICENSE) $(DESTDIR)$(docdir)
	install -m 644 $(wildcard spoa/doc/*.md) $(DESTDIR)$(docdir)/spoa/doc
	install -m 644 $(wildcard spoa/doc/pictures/*) $(DESTDIR)$(docdir)/spoa/doc/pictures
	rm -rf $(DESTDIR)$(docdir)/examples $(DESTDIR)$(docdir)/docker
	cp -RL haproxy-conf $(DESTDIR)$(docdir)/examples
	# Where the documentation's links lead.
	ln -sfn examples $(DESTDIR)$(docdir)/haproxy-conf
	install -d $(DESTDIR)$(docdir)/docker
	cp -RL $(filter-out $(addprefix docker/,image packaging systemd),$(wildcard docker/*)) $(DESTDIR)$(docdir)/docker
	for file in spoa/core/README.md tests/README.md tests/*/README.md tests/bench/scale.svg; do install -D -m 644 $$file $(DESTDIR)$(docdir)/$$file; done
	$(if $(systemd),$(install_units))

uninstall: ## removes what install put there
	rm -f $(DESTDIR)$(bindir)/sentinel-spoa $(DESTDIR)$(mandir)/man1/sentinel-spoa.1 $(DESTDIR)$(mandir)/man5/sentinel-spoa.conf.5
	rm -f $(DESTDIR)$(datadir)/bash-completion/completions/sentinel-spoa $(DESTDIR)$(datadir)/zsh/vendor-completions/_sentinel-spoa
	rm -f $(DESTDIR)$(datadir)/fish/vendor_completions.d/sentinel-spoa.fish
	rm -f $(DESTDIR)$(unitdir)/sentinel-spoa.service $(DESTDIR)$(unitdir)/sentinel-spoa.socket
	rm -f $(DESTDIR)$(sysusersdir)/sentinel-spoa.conf $(DESTDIR)$(tmpfilesdir)/sentinel-spoa.conf
	rm -rf $(DESTDIR)$(docdir)

clean: ## removes build/
	rm -rf build

deps: ## installs the Debian packages for building, testing and linting (or says which are missing)
	@tests/tools/deps.sh build test page lint

##@ Test
# These install what they need, then build (in a second make, which finds the packages), then run.
run_tests = @RUNS_release=$(or $(RUNS),$(RUNS_release)) RUNS_asan=$(or $(RUNS),$(RUNS_asan)) \
    $(PYTHON) tests/tools/run-tests.py

run_pytest = $(PYTHON) -m pytest -q -p no:cacheprovider

test: ## everything: unit and sim (also with ASan and UBSan), mutants of the rule, integration
	@tests/tools/deps.sh build test clients-short node page
	$(Q)$(MAKE) all unit-release sim-release unit-asan sim-asan fuzz-asan
	$(run_tests) mutants:release unit:release sim:release unit:asan sim:asan replay:asan integration:release

unit: ## the unit tests
	@tests/tools/deps.sh build
	$(Q)$(MAKE) unit-release
	$(run_tests) unit:release

sim: ## the simulation in virtual time (RUNS=number of scripts)
	@tests/tools/deps.sh build
	$(Q)$(MAKE) sim-release
	$(run_tests) sim:release

integration: ## against real haproxy, redis-server and redis-sentinel
	@tests/tools/deps.sh build test clients-short node page
	$(Q)$(MAKE) all
	$(run_tests) integration:release

model: ## the quorum rule as a Promela model, checked with spin, and its mutants (DEEP=1: larger bounds)
	@tests/tools/deps.sh model
	$(Q)tests/model/run.sh

scenarios: ## the failure scenarios with real programs, and the table of what was answered
	@tests/tools/deps.sh build test
	$(Q)$(MAKE) all
	@$(PYTHON) tests/tools/scenarios.py

failover-report: ## what failovers cost, with the agent in each of its ways and with the usual recipe (twenty minutes; UPDATE=1: into spoa/doc/failover.md)
	@tests/tools/deps.sh build test
	$(Q)$(MAKE) all
	@$(PYTHON) tests/tools/failover-report.py $(if $(UPDATE),--update)

false-alarms: ## how often `down-after` takes a master to be down that is well: load, lost packets, stops (ten minutes, as root)
	@tests/tools/deps.sh build test
	$(Q)$(MAKE) all
	@$(PYTHON) tests/tools/false-alarms.py

clients-report: ## how real clients fare in failovers, with the agent and with two other ways (UPDATE=1: into spoa/doc/clients.md)
	@tests/tools/deps.sh build test clients-short node clients
	$(Q)$(MAKE) all
	@$(PYTHON) tests/tools/clients-report.py $(if $(UPDATE),--update)

asan-test: ## unit, sim and integration with ASan and UBSan
	@tests/tools/deps.sh build test clients-short node page
	$(Q)$(MAKE) build/asan/sentinel-spoa unit-asan sim-asan fuzz-asan
	$(run_tests) unit:asan sim:asan replay:asan integration:asan

fuzz: ## libFuzzer over all targets, FUZZ_TIME seconds each (60), beginning with tests/fuzz/corpus
	@tests/tools/deps.sh build fuzz
	$(Q)$(MAKE) fuzz-fuzz
	@tests/tools/fuzz.sh $(or $(FUZZ_TIME),60)

valgrind: ## unit tests, simulation, and the integration tests with scripted peers, under valgrind
	@tests/tools/deps.sh build test valgrind
	$(Q)$(MAKE) all unit-release sim-release
	@RUNS_valgrind=$(or $(RUNS),$(RUNS_valgrind)) \
	    INTEGRATION='$(or $(TESTS),test_acl test_sandbox test_sentinels test_spop)' \
	    $(PYTHON) tests/tools/run-tests.py unit:valgrind sim:valgrind integration:valgrind

coverage: ## line coverage of proto/ and spoa/ by unit tests, simulation and fuzz corpora
	@tests/tools/deps.sh build
	$(Q)$(MAKE) unit-cov sim-cov fuzz-cov
	$(Q)find build/cov -name '*.gcda' -delete
	@RUNS_cov=$(or $(RUNS),$(RUNS_cov)) $(PYTHON) tests/tools/run-tests.py unit:cov sim:cov replay:cov
	@$(PYTHON) tests/tools/coverage.py build/cov

mutation: ## breaks the sources in random small places, one at a time, and counts what no test notices (COUNT=60 SEED= FOLDERS= INTEGRATION=0 JOBS=1)
	@tests/tools/deps.sh build test
	@COUNT='$(COUNT)' SEED='$(SEED)' FOLDERS='$(FOLDERS)' INTEGRATION='$(INTEGRATION)' JOBS='$(JOBS)' $(PYTHON) tests/tools/mutation.py $(DIFFS)

test-matrix: ## build, unit and integration tests in bookworm, trixie and forky (as root; SUITES= TESTS= SERVERS=redis|valkey|both SHOW=1)
	@tests/tools/deps.sh matrix
	@MATRIX_TESTS='$(TESTS)' MATRIX_SERVER='$(or $(SERVERS),both)' tests/tools/matrix.sh $(or $(SUITES),bookworm trixie forky)

soak: ## random faults under load with a referee, SOAK_TIME seconds (600; SEED=)
	@tests/tools/deps.sh build test
	$(Q)$(MAKE) all
	@$(PYTHON) tests/tools/soak.py $(or $(SOAK_TIME),600) $(SEED)

bench: ## what an answer, growth and a switch cost, against a bare echo (PARTS= ROUNDS= SECONDS_PER_ROUND= FAILOVERS=)
	@tests/tools/deps.sh build test bench
	$(Q)$(MAKE) all $(bench_programs)
	@$(PYTHON) tests/bench/run.py

demo-compose: ## the same in containers, with Prometheus and Grafana (needs docker compose; `docker compose -f docker/compose.yaml down -v` ends it)
	docker compose -f docker/compose.yaml up --build --detach --wait
	docker compose -f docker/compose.yaml --profile failover run --rm failover

demo: ## a failover before your eyes, with real programs (KEEP=1 leaves it running: each key kills the master again)
	@tests/tools/deps.sh build test
	$(Q)$(MAKE) all
	@KEEP=$(KEEP) $(PYTHON) tests/tools/demo.py

##@ Ship
image: ## the container image, built without an engine, into build/image (as root)
	@tests/tools/deps.sh image
	@tests/tools/image.sh

image-test: image ## and runs it as an engine would
	@tests/tools/deps.sh test
	@$(run_pytest) tests/packaging/test_image.py

deb: ## the Debian package, into build/deb, with lintian
	@tests/tools/deps.sh build deb
	@tests/tools/deb.sh

deb-test: deb ## and installs, configures, starts, reloads and purges it in a clean root file system (as root)
	@tests/tools/deps.sh test
	@$(run_pytest) tests/packaging/test_deb.py tests/packaging/test_install.py tests/packaging/test_newcomer.py

rpm: ## the RPM package, into build/rpm
	@tests/tools/deps.sh build rpm
	@tests/tools/rpm.sh

rpm-test: rpm ## and runs what is in it, in a Debian (as root)
	@tests/tools/deps.sh test
	@$(run_pytest) tests/packaging/test_rpm.py

deploy-test: image ## the files for Compose, Kubernetes and Helm: their schemas, and what they describe, run in network namespaces (as root)
	@tests/tools/deps.sh build test node deploy
	$(Q)$(MAKE) all
	@$(run_pytest) tests/packaging/test_compose.py tests/packaging/test_helm.py tests/packaging/test_kubernetes.py

engine-test: image ## the chart as containers, in podman and a network of its own: a failover, other nodes, another password, an end (as root)
	@tests/tools/deps.sh build test engine node
	$(Q)$(MAKE) all
	@tests/tools/engine.sh
	@$(run_pytest) tests/packaging/test_engine.py

##@ Check
lint: ## all static checks; prints findings only
	@tests/tools/deps.sh build lint
	@$(MAKE) -s all
	@CC='$(CC)' LINT_FLAGS='$(LIBS_CFLAGS) -DSENTINEL_SPOA_VERSION="" -DSENTINEL_SPOA_REVISION=""' \
	    tests/tools/lint.sh $(C_FILES)

format: ## clang-format over all C files
	@tests/tools/deps.sh lint
	clang-format -i $(C_FILES)

help: ## this list
	@awk -F ':.*## ' '/^##@ /{printf "\n%s\n", substr($$0, 5)} \
	    /^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
