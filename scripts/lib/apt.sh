# Packages of Debian and Ubuntu. Nothing here runs when the command a package gives is already there.
# shellcheck shell=bash

apt_refreshed=no

# as_root COMMAND…: never asks for a password.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n -- "$@"; fi
}
may_install() { have apt-get && { [ "$(id -u)" -eq 0 ] || { have sudo && sudo -n true 2>/dev/null; }; }; }

apt_refresh() {
  [ "$apt_refreshed" = yes ] && return
  say "reading the package lists of this system"
  quietly apt-update as_root apt-get update
  apt_refreshed=yes
}

# apt_offers PACKAGE [VERSION]: the distribution has it, at that version or newer.
apt_offers() {
  local candidate
  candidate=$(apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p')
  [ -n "$candidate" ] && [ "$candidate" != "(none)" ] && at_least "${candidate#*:}" "${2:-0}"
}

# apt_install PACKAGE…: installs, or says exactly what is missing.
apt_install() {
  have apt-get || fail "missing, and this system has no apt-get: please install the equivalents of: $*"
  may_install || fail "no right to install packages. Please run: sudo apt-get install --no-install-recommends $*"
  apt_refresh
  say "installing with apt: $*"
  quietly apt-install as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "$@"
}

chromium_path() {
  local name
  for name in "${CCMS_CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
    if [ -n "$name" ] && have "$name"; then command -v "$name" && return; fi
  done
  return 1
}
initdb_path() {
  have initdb && command -v initdb && return
  find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | sort -V | tail -n1 | grep .
}

# setup_system demo|all: compiler and node for both; browser and database for the tests.
setup_system() {
  local missing=()
  have cc || missing+=(gcc libc6-dev)
  have pkg-config || missing+=(pkg-config)
  have curl || missing+=(curl)
  [ -e /etc/ssl/certs/ca-certificates.crt ] || ! have apt-get || missing+=(ca-certificates)
  have node || missing+=(nodejs)
  have npm || missing+=(npm)
  if [ "$1" = all ]; then
    chromium_path >/dev/null || missing+=(chromium fonts-dejavu-core)
    initdb_path >/dev/null || missing+=(postgresql)
  fi
  if [ ${#missing[@]} -gt 0 ]; then apt_install "${missing[@]}"; fi
  # Ubuntu's chromium package is only a pointer to a snap; there the user's own browser has to serve.
  if [ "$1" = all ] && ! chromium_path >/dev/null; then
    fail "no Chromium: please install chromium or google-chrome, or set CCMS_CHROMIUM to its path"
  fi
}
