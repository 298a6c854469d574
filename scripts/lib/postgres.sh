# A private PostgreSQL for the demo and the tests: a unix socket in a folder of its own, no port, no password,
# gone with the script. As root it runs under the system user `postgres`, because initdb refuses root.
# shellcheck shell=bash

pg_bin=
pg_data=
pg_sockets=

as_pg_user() {
  if [ "$(id -u)" -eq 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

# postgres_start DATA_DIR [SERVER OPTION…]: sets POSTGRES_URL. The data is kept; a second start finds it again.
postgres_start() {
  local data=$1 log
  shift
  pg_bin=$(dirname "$(initdb_path)") || fail "no PostgreSQL: run scripts/setup"
  data=$(postgres_data_dir "$data")
  # The path of a socket may have about 100 characters: keep it short, and closed to everybody else.
  pg_sockets=$(mktemp -d /tmp/ccms-pg.XXXXXX)
  if [ "$(id -u)" -eq 0 ]; then chown postgres "$pg_sockets"; fi
  log=$pg_sockets/server.log
  if [ ! -f "$data/PG_VERSION" ]; then
    as_pg_user "$pg_bin/initdb" -D "$data" -U ccms -A trust -E UTF8 --locale=C >/dev/null
  fi
  # Left over from a script that was killed: stop it, its socket folder is unknown.
  if as_pg_user "$pg_bin/pg_ctl" status -D "$data" >/dev/null; then
    as_pg_user "$pg_bin/pg_ctl" stop -s -m fast -D "$data"
  fi
  as_pg_user "$pg_bin/pg_ctl" start -w -s -D "$data" -l "$log" \
    -o "-c listen_addresses='' -c unix_socket_directories=$pg_sockets $*" || fail "PostgreSQL did not start: $log"
  pg_data=$data
  export POSTGRES_URL="postgres://ccms@localhost/postgres?host=$pg_sockets"
}

postgres_stop() {
  [ -n "$pg_sockets" ] || return 0
  as_pg_user "$pg_bin/pg_ctl" stop -s -m fast -D "$pg_data" || true
  rm -rf "$pg_sockets"
  pg_sockets=
}

# postgres_data_dir WANTED: a folder the server's user may use. Where it cannot reach WANTED (a checkout
# below /root), WANTED becomes a link to a folder in /var/tmp.
postgres_data_dir() {
  local wanted=$1 place
  # initdb itself closes the folder to others.
  if [ "$(id -u)" -ne 0 ]; then mkdir -p "$wanted" && echo "$wanted" && return; fi
  if [ -L "$wanted" ] && [ ! -d "$wanted" ]; then rm "$wanted"; fi
  if [ ! -e "$wanted" ]; then
    mkdir -p "$(dirname "$wanted")"
    if as_pg_user test -x "$(dirname "$wanted")"; then
      mkdir -m 700 "$wanted"
    else
      place=$(mktemp -d /var/tmp/ccms-postgres.XXXXXX)
      ln -s "$place" "$wanted"
    fi
    chown postgres "$wanted/."
  fi
  readlink -f "$wanted"
}
