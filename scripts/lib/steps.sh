# The steps of scripts/test, one function each, in the order they run: cheap and likely to fail first.
# shellcheck shell=bash

export STEPS=(fmt deny scripts clippy clippy-wasm build test bench fuzz api site size end-to-end doc)

# For each target of the fuzz step.
FUZZ_SECONDS=4
# For each half of the API in the api step.
API_FUZZ_SECONDS=45
DUCKDB_VERSION=2.0.1
PYARROW_VERSION=26.0.1

step_fmt() { cargo fmt --all --check; }

step_deny() {
  cargo deny --locked check bans licenses sources
  # The list of known vulnerabilities is a git repository elsewhere; a closed network is no failure of this code.
  if timeout 120 cargo deny --locked fetch db >/dev/null 2>&1; then
    cargo deny --locked check --disable-fetch advisories
  else
    say "NOT CHECKED: advisories (their database could not be fetched)"
  fi
}

step_scripts() {
  if have shellcheck; then
    shellcheck -x scripts/setup scripts/demo scripts/test scripts/fuzz scripts/sqlx-prepare scripts/env scripts/lib/*.sh .ci/run
  else
    say "NOT CHECKED: shell scripts (no shellcheck here)"
  fi
}

# With what is built in on request: an archive in a bucket.
step_clippy() { cargo clippy --locked --workspace --all-targets --features s3 -- -D warnings; }

# In the folder and profile of the browser build, whose build scripts and macros it then shares.
step_clippy_wasm() {
  CARGO_TARGET_DIR=$CARGO_TARGET_DIR/front cargo clippy --locked --profile wasm-release \
    -p ccms-app --no-default-features --features hydrate --target wasm32-unknown-unknown -- -D warnings
}

step_build() { build_dev; }

step_test() {
  tests_postgres
  tests_python
  cargo test --locked --workspace --no-fail-fast
}

step_bench() { "$CARGO_TARGET_DIR/debug/ccms-bench" --smoke; }

# Both short here: the long runs are done by hand.
step_fuzz() { bash scripts/fuzz "$FUZZ_SECONDS"; }

step_api() { CCMS_FUZZ_SECONDS=$API_FUZZ_SECONDS api_fuzz; }

step_site() { build_site; }

step_size() { node scripts/lib/wasm-size.mjs "$SITE_ROOT/pkg"; }

step_end_to_end() {
  tests_postgres
  CCMS_CHROMIUM=$(chromium_path)
  export CCMS_CHROMIUM
  export CCMS_BIN=$CARGO_TARGET_DIR/debug/ccms CCMS_FLEET_BIN=$CARGO_TARGET_DIR/debug/ccms-fleet CCMS_SITE_ROOT=$SITE_ROOT
  (cd end2end && npm run --silent check && npx --no-install playwright test)
}

# The first lines of a file map its private parts too, so those are documented, and linked, with the rest.
step_doc() {
  RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" \
    cargo doc --locked --workspace --no-deps --document-private-items
}

# One throwaway server for all tests; every test makes its own database in it. Nothing of it has to survive a
# power cut, so it may skip the disk.
tests_postgres() {
  [ -z "${CCMS_TEST_POSTGRES_URL:-}" ] || return 0
  tests_postgres_dir=$(mktemp -d)
  chmod 755 "$tests_postgres_dir"
  postgres_start "$tests_postgres_dir/data" \
    -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=400
  export CCMS_TEST_POSTGRES_URL=$POSTGRES_URL
}

# Programs that read the archive without us; kept beside the other tools.
tests_python() {
  local venv=$CCMS_CACHE/python/venv
  if ! "$venv/bin/python" -c "import duckdb, pyarrow; assert duckdb.__version__ == '$DUCKDB_VERSION' and pyarrow.__version__ == '$PYARROW_VERSION'" 2>/dev/null; then
    python_venv "$venv" "duckdb==$DUCKDB_VERSION" "pyarrow==$PYARROW_VERSION" \
      || { say "NOT CHECKED: the archive as others read it (duckdb and pyarrow could not be installed)"; return 0; }
  fi
  export CCMS_TEST_PYTHON=$venv/bin/python
}
