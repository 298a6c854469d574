# Python packages for tests, each kind in a folder of its own:
#   python_venv FOLDER PACKAGE...   makes the folder anew with these packages; fails when they cannot be had
# shellcheck shell=bash

python_venv() {
  local venv=$1
  shift
  # Debian keeps what a venv needs in a package of its own.
  python3 -c 'import ensurepip' 2>/dev/null || { may_install && apt_install python3-venv >&2; } || return 1
  python3 -m venv --clear "$venv" >&2 && "$venv/bin/pip" install --quiet "$@" >&2
}
