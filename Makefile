# Everything here is a line of cargo: where make is missing, type that line.
.DEFAULT_GOAL := help
.PHONY: help run test e2e images bench loadtest fmt lint doc clean-data

dev := cargo run --quiet -p farmlokal-devstack --
# For cargo test, e2e, bench and loadtest: make test ARGS="-p farmlokal-api -- --nocapture"
ARGS :=

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## Start everything, seed 1,000,000 products once, serve on port 5000 (PORT=...)
	@$(dev) run $(ARGS)

test: lint doc ## Check format, lints and docs, then run every test on real servers (ARGS=...)
	@$(dev) test -- $(ARGS)

e2e: ## Prove everything on the cluster of the current kubeconfig (ARGS=...)
	@cargo run --quiet -p farmlokal-e2e -- run $(ARGS)

images: ## Make images of our binaries and load them into that cluster (ARGS=...)
	@cargo run --quiet -p farmlokal-e2e -- images $(ARGS)

bench: ## Measure the API beside a bare axum route and the database alone (ARGS=...)
	@cargo run --release -p farmlokal-bench -- bench $(ARGS)

loadtest: ## Run the k6 load tests on a million products (ARGS=...)
	@cargo run --release -p farmlokal-bench -- loadtest $(ARGS)

fmt: ## Format the code
	@cargo fmt --all

lint: ## Check format, lints, and, with cargo-deny, licences and advisories
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets -- -D warnings
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --workspace check; \
	else echo "no cargo-deny here (cargo install cargo-deny): licences and advisories are not checked"; fi

doc: ## Build the code's documentation: target/doc
	@RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

clean-data: ## Remove the development database
	@rm -rf .devstack
