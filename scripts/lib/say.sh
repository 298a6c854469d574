# What the scripts print, and how they find a version: short lines, one per action.
# shellcheck shell=bash

say() { printf '%s: %s\n' "${0##*/}" "$*"; }
fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# version_of TOOL [ARG…]: the first thing in its `--version` that looks like a version, or nothing.
version_of() { "$@" --version 2>/dev/null | grep -oEm1 '[0-9]+(\.[0-9]+)+' | head -n1 || true; }

# at_least HAVE WANT: true when HAVE is a version not older than WANT.
at_least() { [ -n "$1" ] && [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n1)" = "$2" ]; }

# quietly LOG COMMAND…: keep the output in a file; when the command fails, show its end and stop.
quietly() {
  local log=$CCMS_CACHE/log/$1.log
  shift
  mkdir -p "$CCMS_CACHE/log"
  if ! "$@" >"$log" 2>&1 </dev/null; then
    tail -n 15 "$log" >&2
    fail "failed: $* (all of its output: $log)"
  fi
}
