# The three things that get built, each with one set of flags everywhere, so that nothing compiles twice.
# shellcheck shell=bash disable=SC2034

SITE_ROOT=$CCMS_CHECKOUT/target/site # where cargo-leptos puts the site, whatever CARGO_TARGET_DIR says

# The browser half: WASM, JavaScript, style, public files.
build_site() { cargo leptos build --release --frontend-only; }

# Server and fleet for use. Together, because building them one by one gives their shared crates other features.
build_release() { cargo build --release --locked -p ccms -p ccms-fleet; }

# Everything the tests need. `--all-targets` also builds the plain binaries, with the features of the tests.
build_dev() { cargo build --locked --workspace --all-targets; }
