# cargo-leptos, wasm-bindgen and cargo-deny for scripts/setup, cargo-fuzz for scripts/fuzz. A tool the user has in another
# version is left alone: ours then goes into the cache folder, which scripts/env puts first on the PATH.
# shellcheck shell=bash

LEPTOS_VERSION=0.3.11
DENY_VERSION=0.20.2
# shellcheck disable=SC2034 # for scripts/fuzz
FUZZ_VERSION=0.13.2

# The browser half must be bound by exactly the version it was compiled with.
wasm_bindgen_version() {
  sed -n '/^name = "wasm-bindgen"$/{n;s/^version = "\(.*\)"$/\1/p;}' "$CCMS_CHECKOUT/Cargo.lock"
}

setup_cargo_tools() {
  local bindgen
  bindgen=$(wasm_bindgen_version)
  # Without `no_downloads` cargo-leptos fetches helper programs when it runs.
  cargo_tool cargo-leptos "$LEPTOS_VERSION" --locked --no-default-features --features no_downloads
  # Not --locked: its own lock file names a crate that has been withdrawn.
  cargo_tool wasm-bindgen "$bindgen"
  if [ "$1" = all ]; then cargo_tool cargo-deny "$DENY_VERSION" --locked; fi
  rm -rf "$CCMS_CACHE/tools-target"
}

# cargo_tool COMMAND VERSION [CARGO INSTALL OPTION…]
cargo_tool() {
  local command=$1 version=$2 package=$1 root=()
  shift 2
  [ "$(version_of "$command")" = "$version" ] && return
  if [ "$command" = wasm-bindgen ]; then package=wasm-bindgen-cli; fi
  if have "$command"; then root=(--root "$CCMS_CACHE/tools"); fi
  if have cargo-binstall; then
    say "installing $package $version with cargo binstall"
    if timeout 300 cargo binstall -y --disable-strategies compile "${root[@]}" "$package@$version" \
      >/dev/null 2>&1 </dev/null && hash -r && [ "$(version_of "$command")" = "$version" ]; then return; fi
  fi
  say "compiling $package $version (once; minutes)"
  # Its own release profile is tuned for speed at run time and takes three times as long to build.
  quietly "$package" env CARGO_TARGET_DIR="$CCMS_CACHE/tools-target" CARGO_PROFILE_RELEASE_LTO=off \
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
    cargo install "${root[@]}" "$package" --version "$version" "$@"
  hash -r
}
