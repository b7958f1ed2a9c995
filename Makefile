# make help lists what there is. As root, what is missing is installed from
# Debian; otherwise its name is said.

SHELL   := /bin/bash
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.0.0-dev)

# All that is built without the race detector is built in one way, so that nothing
# is compiled twice. The race detector needs cgo.
export GOFLAGS     := -trimpath
export CGO_ENABLED := 0
RACE_TEST := CGO_ENABLED=1 $(GO) test -race -vet=off

# Needed by the tests, by the demonstration (a part of them), and by the benchmarks.
TEST_PACKAGES  := gcc curl postgresql postgresql-client mariadb-server mariadb-client openssl nodejs python3-cryptography zstd systemd debootstrap chromium prometheus rclone mandoc man-db nginx pgbouncer
DEMO_PACKAGES  := postgresql postgresql-client mariadb-server mariadb-client openssl
BENCH_PACKAGES := $(DEMO_PACKAGES) age zstd awscli rclone restic
E2E_PACKAGES   := debootstrap systemd-container apt-utils gnupg postgresql

.PHONY: help build test demo packages repo pkgcheck e2e lint storm fuzz bench clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

build: bin/dbacked bin/dbacked-server ## build bin/dbacked and bin/dbacked-server

.PHONY: bin/dbacked bin/dbacked-server
bin/dbacked bin/dbacked-server:
	$(GO) build -ldflags '-s -w -X main.version=$(VERSION)' -o $@ ./cmd/$(@F)

test: ## run all tests, against real servers
	@packaging/need.sh $(TEST_PACKAGES)
	$(GO) vet ./...
	$(GO) test -c -o bin/test/dbacked ./cmd/dbacked
	DBACKED_TEST_PROGRAM=$(CURDIR)/bin/test $(RACE_TEST) -timeout 30m ./...

demo: bin/dbacked ## back up, lose and restore a real PostgreSQL and a real MariaDB
	@packaging/need.sh $(DEMO_PACKAGES)
	@packaging/demo.sh bin/dbacked

packages: ## build deb and rpm, of agent and service, for amd64 and arm64, into dist
	@packaging/packages.sh $(VERSION) dist

repo: packages ## make a signed APT repository of them, dist/repo
	@packaging/need.sh apt-utils gnupg
	@packaging/repo.sh dist/repo dist/*.deb

pkgcheck: ## build the packages twice, compare them, and have lintian look at them
	@packaging/need.sh lintian rpm file
	@packaging/pkgcheck.sh

e2e: ## show the service in a real Debian under a real systemd (packaging/e2e)
	@packaging/need.sh $(E2E_PACKAGES)
	$(GO) vet -tags e2e ./packaging/e2e
	$(GO) test -tags e2e -count 1 -timeout 25m ./packaging/e2e

lint: ## check style and the import rules
	$(GO) tool -modfile=packaging/tools/go.mod golangci-lint run ./...

storm: ## 200 seeded storms, 600 random plans, 100 storms while a snapshot is dumped, 50 machines killed, 300 removals that meet what undoes them, 6 GiB in files of 20 parts, 50 due times of two agents: of each, the tests do a part; and the command's tests with the race detector in the programs that they start (40 min, 15 GB)
	@packaging/need.sh $(TEST_PACKAGES) $(E2E_PACKAGES)
	DBACKED_TEST_STORMS=200 $(RACE_TEST) -v -count 1 -timeout 15m -run '^TestStorm$$' ./pkg/pipeline
	DBACKED_TEST_PLANS=600 $(RACE_TEST) -v -count 1 -timeout 15m -run '^TestRandomPlans' ./pkg/pipeline
	DBACKED_TEST_SNAPSHOTS=100 $(RACE_TEST) -v -count 1 -timeout 15m -run '^TestSnapshotStorm$$' ./pkg/dumper
	DBACKED_TEST_SNAPSHOTS=100 $(RACE_TEST) -v -count 1 -timeout 60m -run '^TestMySQL$$/./^parts_in_a_storm$$' ./pkg/dumper
	$(RACE_TEST) -count 1 -timeout 30m ./cmd/dbacked
	DBACKED_TEST_KILLS=50 $(RACE_TEST) -v -count 1 -timeout 30m -run '^TestKilledSideBySide$$' ./cmd/dbacked
	DBACKED_TEST_MEETINGS=300 $(RACE_TEST) -v -count 1 -timeout 15m -run 'TestOnEach/meets' ./pkg/server/pruner
	DBACKED_TEST_STREAM_MIB=6144 $(GO) test -v -count 1 -timeout 30m -run '^TestLongStream$$' ./cmd/dbacked
	DBACKED_E2E_DUES=50 $(GO) test -tags e2e -v -count 1 -timeout 15m -run '^TestService$$/^served$$' ./packaging/e2e

FUZZTIME ?= 20s
fuzz: ## fuzz every parser for FUZZTIME (20s) each
	@set -e; for file in $$(grep -lr '^func Fuzz' --include='*_test.go' pkg cmd); do \
		for f in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\).*/\1/p' $$file); do \
			echo "== $$(dirname $$file) $$f"; \
			$(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x ./$$(dirname $$file); \
		done; \
	done

bench: bin/dbacked ## compare speed and memory with the databases' own tools
	@packaging/need.sh $(BENCH_PACKAGES)
	$(GO) test -run '^$$' -bench . ./pkg/encryptor ./pkg/uploader ./pkg/pipeline ./pkg/server/records
	$(GO) test -run '^$$' -bench Polls -benchtime 20000x ./pkg/server
	$(GO) test -run '^$$' -bench Scrape -benchtime 5x ./pkg/server/metrics
	DBACKED_TEST_BINARY=$(CURDIR)/bin/dbacked $(GO) test -tags bench -v -count 1 -timeout 60m -run '^TestCompare' ./cmd/dbacked

clean: ## remove what was built
	rm -rf bin dist
