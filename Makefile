# What one does with Usher from a fresh clone. `make` lists it.

SHELL := /bin/sh
CARGO ?= cargo
# The demo's hour, in how many minutes it is shown; and any other option of `usher demo`.
DEMO ?=

.PHONY: help demo test bench lint policies wasm-toolchain doc

help: ## lists these
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

demo: policies ## an hour of office traffic on a simulated cloud, decided by the wasm standard policy
	@$(CARGO) run -p usher --no-default-features -- demo $(DEMO)

test: ## installs what the tests need (Debian packages, PyPI, the wasm target), then runs them all
	@tests/prepare.sh
	@$(CARGO) test --workspace
	@cd examples/janus && python3 -B -m unittest -q
	@cd examples/aws && python3 -B -m unittest -q

bench: policies ## the figures of the README, one a line: name value unit
	@$(CARGO) build --release -p usher -p usher-agent -p usher-tests --bin usher --bin usher-agent --bin bench
	@"$${CARGO_TARGET_DIR:-target}/release/bench"

lint: ## formatting, clippy, docs, licences and advisories of dependencies
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --workspace --all-targets -- -D warnings
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc --quiet --workspace --no-deps
	@if command -v cargo-deny >/dev/null 2>&1; then $(CARGO) deny --offline check licenses bans sources; \
	else echo "lint: cargo-deny is not installed (cargo install cargo-deny); licences were not checked"; fi

policies: ## builds the standard policy to policies/90-standard.wasm
	@sdk/toolchain.sh build policies/standard policies/90-standard.wasm

wasm-toolchain: ## finds or installs what builds policies
	@sdk/toolchain.sh find

doc: ## the documentation of all crates, in target/doc
	@$(CARGO) doc --workspace --no-deps
