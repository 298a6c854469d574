# A Rust toolchain that can build for wasm32, found or installed. The choice is kept in the cache folder
# (scripts/env reads it), so that every later cargo uses one compiler and one set of build products.
# shellcheck shell=bash

RUST_MIN=1.96 # cargo-leptos 0.3.11 needs it; the workspace itself is content with its rust-version
WASM=wasm32-unknown-unknown

# rust_ready [TOOLCHAIN]: recent enough, and its standard library for the browser is there.
rust_ready() {
  local libdir
  if [ -n "${1:-}" ]; then local -x RUSTUP_TOOLCHAIN=$1; fi
  have cargo && have rustc && at_least "$(version_of cargo)" "$RUST_MIN" || return 1
  libdir=$(rustc --print target-libdir --target "$WASM" 2>/dev/null) || return 1
  compgen -G "$libdir/libstd-*.rlib" >/dev/null && have_component fmt && have_component clippy
}
have_component() { cargo "$1" --version >/dev/null 2>&1; }

rust_chosen() {
  if [ -n "${1:-}" ]; then
    export RUSTUP_TOOLCHAIN=$1
    printf 'export RUSTUP_TOOLCHAIN=%s\n' "$1" >"$CCMS_CACHE/env"
  else
    rm -f "$CCMS_CACHE/env"
  fi
  hash -r
}

setup_rust() {
  rust_ready && return
  if [ -n "${RUSTUP_TOOLCHAIN:-}" ] && ! grep -qs "=$RUSTUP_TOOLCHAIN\$" "$CCMS_CACHE/env"; then
    fail "RUSTUP_TOOLCHAIN=$RUSTUP_TOOLCHAIN is not Rust $RUST_MIN with the target $WASM. Please unset it"
  fi
  unset RUSTUP_TOOLCHAIN
  if rust_ready; then
    rust_chosen
  elif have rustup && rust_ready debian; then
    rust_chosen debian
  elif have rustup && rust_from_rustup; then
    return
  elif have apt-get && rust_from_apt; then
    return
  else
    fail "no Rust $RUST_MIN with the target $WASM. Please install it from rustup.rs, then run this again"
  fi
}

# Time limits: on a network that swallows downloads rustup would wait for ever.
rust_from_rustup() {
  if at_least "$(version_of cargo)" "$RUST_MIN"; then
    say "adding the target $WASM with rustup"
    if timeout 300 rustup target add "$WASM" >/dev/null 2>&1 && rust_ready; then rust_chosen; return; fi
  else
    say "installing Rust stable with rustup"
    if timeout 900 rustup toolchain install stable --profile minimal -c rustfmt -c clippy -t "$WASM" \
      >/dev/null 2>&1 && rust_ready stable; then rust_chosen stable; return; fi
  fi
  say "rustup could not download it"
  return 1
}

# Debian keeps a recent toolchain beside its stable one to build browsers: it comes as rustc-web.
rust_from_apt() {
  if ! have /usr/bin/cargo || ! at_least "$(version_of /usr/bin/cargo)" "$RUST_MIN"; then
    if may_install; then apt_refresh; fi
    if ! have rustup && apt_offers rustup; then
      apt_install rustup
      if rust_from_rustup; then return; fi
    fi
    apt_offers rustc-web "$RUST_MIN" || return 1
    apt_install rustc-web cargo-web rust-web-src rust-web-llvm rustfmt-web rust-web-clippy
  fi
  rust_wasm_std || return 1
  if have rustup; then
    rustup toolchain link debian /usr
    rust_ready debian && rust_chosen debian
  else
    rust_ready && rust_chosen
  fi
}

# rust_wasm_std: build the standard library for the browser from the sources of the apt toolchain.
rust_wasm_std() {
  local linker work libs=/usr/lib/rustlib/$WASM/lib
  linker=$(readlink /usr/bin/rust-lld || true) # names the lld of one LLVM version
  if [ -n "$linker" ] && ! have "$linker"; then apt_install "$linker"; fi
  compgen -G "$libs/libstd-*.rlib" >/dev/null && return
  { [ "$(id -u)" -eq 0 ] || may_install; } || fail "no right to write $libs. Please run scripts/setup once as root"
  say "building the Rust standard library for $WASM (one minute)"
  work=$(mktemp -d)
  mkdir "$work/src"
  printf '[package]\nname = "empty"\nversion = "0.1.0"\nedition = "2021"\n[lib]\n' >"$work/Cargo.toml"
  : >"$work/src/lib.rs"
  quietly wasm-std env CARGO_TARGET_DIR="$work/target" RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc \
    /usr/bin/cargo build -Zbuild-std=std,panic_abort,panic_unwind --target "$WASM" --release \
    --manifest-path "$work/Cargo.toml"
  rm -f "$work/target/$WASM/release/deps/"libempty-*.rlib
  as_root mkdir -p "$libs"
  as_root cp "$work/target/$WASM/release/deps/"*.rlib "$libs/"
  rm -rf "$work"
}
