# Targets for people; what they do stands in scripts/ and tools/.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help install build demo example test test-java verify-istio compat-envoy oci verify-oci verify-helm conformance fuzz lint format generate bench profile clean

export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

STORE ?= embedded
PORT ?= 34904
export BASE

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo '  options: STORE=redis and PORT=N for demo and example, NAME=x for example'
	@echo '           BACKEND=redis for conformance, VERSION=1.36.4 for compat-envoy'
	@echo '           BASE=FOLDER for oci'
	@echo '           DOOR=x, SEED=N, COUNT=N, FROM=N and SECONDS=N for fuzz'

install: ## install the npm packages, if the lock file asks for others than are there
	@node scripts/install.mjs

build: install ## build bridge, command and filter, as far as sources changed
	@node scripts/build.mjs

demo: install ## build, start everything, run the quick start through five doors, stop
	@node scripts/build.mjs runtime
	@node scripts/example.mjs quickstart --store $(STORE) --port $(PORT)

example: build ## run examples/NAME from start to end
	@node scripts/example.mjs "$(NAME)" --store $(STORE) --port $(PORT)

test: build ## every check and test; ends with "N passed, N failed"
	@node scripts/test.mjs

test-java: build ## Apollo's own Java clients, and publish and subscribe on Kafka; needs a JDK and Maven
	@node --no-warnings --import ./scripts/lib/typescript.mjs scripts/test-java.mjs

verify-istio: build ## what is printed for a mesh, through Istio's own validation and generator into Envoy; needs Go
	@node scripts/verify-istio.mjs

compat-envoy: build ## the suites in which Envoy takes part, on every version it may have
	@node scripts/compat-envoy.mjs "$(VERSION)"

oci: build ## OCI image layouts of modules and bridge into dist/oci, without Docker
	@node --no-warnings --import ./scripts/lib/typescript.mjs scripts/oci.mjs

verify-oci: oci ## what `make oci` made, by the code of Istio's agent; needs Go
	@node scripts/verify-oci.mjs

verify-helm: ## the chart, by Helm's own linter and templates; needs Go
	@node scripts/verify-helm.mjs

conformance: build ## run the conformance suites, of one backend or of all
	@node --no-warnings scripts/conformance.mjs "$(BACKEND)"

fuzz: build ## storm every door with hostile input, a million each
	@node --no-warnings --import ./scripts/lib/typescript.mjs test/fuzz/main.ts

lint: build ## eslint, types and import directions
	@tsc --noEmit -p tsconfig.json
	@eslint . --max-warnings 0
	@node scripts/check-imports.mjs

format: install ## format every source
	@prettier --write --log-level warn .

generate: install ## generate code from proto/, the printed examples of envoy/rendered/, and the dashboard
	@buf generate
	@buf generate --template test/wire/buf.gen.yaml
	@node scripts/build.mjs runtime
	@node scripts/render-envoy.mjs
	@node examples/istio/render.mjs
	@node scripts/render-dashboard.mjs

bench: build ## measure calls and CPU (see test/bench)
	@node test/bench/run.mjs
	@node test/bench/pubsub.mjs
	@node test/bench/functions.mjs
	@node test/bench/invoke.mjs

profile: build ## where Envoy, bridge and Redis spend their time (see test/bench/profile)
	@node test/bench/profile/run.mjs

clean: ## remove what was built and what runs left; fetched tools stay
	@rm -rf dist test/.results .layotto
