# The parts of a running city, for scripts/demo: its settings, its clock, its operator, its two processes.
# shellcheck shell=bash

OPERATOR_EMAIL=operator@demo.local
READY_TIMEOUT_S=60
ONLINE_TIMEOUT_S=120
# Lights that come online in a second, at the least.
ONLINE_PER_S=100
# The server takes so long for a file of 20,000 lights, at the most.
IMPORT_TIMEOUT_S=120

clock_offset_s=0
server_pid=
fleet_pid=
fleet_options=()
city_lights=0

# city_profile NAME LIGHTS
city_profile() {
  case $1 in
    helsinki)
      export CCMS__CITY__NAME=Helsinki CCMS__CITY__TIMEZONE=Europe/Helsinki CCMS__MAP__GEOJSON_DIR=cities/helsinki
      city_lights=${2:-586}
      ;;
    city)
      export CCMS__CITY__NAME=Riverton CCMS__CITY__TIMEZONE=Europe/Berlin
      city_lights=${2:-2000}
      ;;
    delhi)
      export CCMS__CITY__NAME=Delhi CCMS__CITY__TIMEZONE=Asia/Kolkata
      city_lights=${2:-500}
      ;;
    *) fail "unknown profile $1: helsinki, city or delhi" ;;
  esac
  fleet_options=(--profile "$1" --lights "$city_lights" --seed 1)
}

# city_plan FOLDER: the city as files. A planned one brings the ground for its map; Helsinki has its own.
city_plan() {
  "$CARGO_TARGET_DIR/release/ccms-fleet" plan "${fleet_options[@]}" --out "$1"
  export CCMS__MAP__GEOJSON_DIR=${CCMS__MAP__GEOJSON_DIR:-$1}
}

EVENING_S=$((6 * 3600))

# city_clock HH:MM FILE: the first run starts at that time of today. A later run (FILE has the offset of the last)
# goes on where that one would be now, if it is still evening there, or else at the next such time: a database
# must not see time run backwards. Empty HH:MM: the clock of this machine.
city_clock() {
  local now bound target day
  [ -n "$1" ] || return 0
  export TZ=$CCMS__CITY__TIMEZONE
  now=$(date +%s)
  if [ -f "$2" ]; then
    clock_offset_s=$(cat "$2")
    bound=$((now + clock_offset_s))
    for day in -1 0 1; do
      target=$(date_in_days "$bound" "$day" "$1")
      [ "$bound" -ge $((target + EVENING_S)) ] || break
    done
    if [ "$target" -gt "$bound" ]; then clock_offset_s=$((target - now)); fi
  else
    target=$(date_in_days "$now" 0 "$1")
    clock_offset_s=$((target - now))
  fi
  unset TZ
  echo "$clock_offset_s" >"$2"
  export CCMS__CLOCK__OFFSET_SECONDS=$clock_offset_s
}
# date_in_days NOW DAYS HH:MM. In two steps, because `date` would take "21:30 -1" for a time zone.
date_in_days() {
  local day
  day=$(date -d "$(date -d "@$1" +%F) $2 days" +%F)
  date -d "$day $3" +%s 2>/dev/null || fail "not a time of day: $3"
}
city_time() { TZ=$CCMS__CITY__TIMEZONE date -d "@$(($(date +%s) + clock_offset_s))" '+%F %H:%M %Z'; }

# city_operator FILE: the one person of the demo, who may see every page, with a random password, made once.
city_operator() {
  [ ! -s "$1" ] || return 0
  (umask 077 && head -c 15 /dev/urandom | base64 | tr '+/' '-_' >"$1")
  if ! "$CARGO_TARGET_DIR/release/ccms" admin create --email "$OPERATOR_EMAIL" --role admin --password-stdin <"$1"; then
    rm -f "$1"
    fail "could not create the operator"
  fi
}

# city_key FILE: with which the demo hands its lights to the server; made once.
city_key() {
  [ ! -s "$1" ] || return 0
  if ! (umask 077 && "$CARGO_TARGET_DIR/release/ccms" api-key create --name demo --scopes admin >"$1" 2>/dev/null); then
    rm -f "$1"
    fail "could not make an API key"
  fi
}

# city_catalogue URL DATA_DIR: zone, ward, feeder, pole and wattage of every light, which no controller knows. Once, so that
# what people correct afterwards stays.
city_catalogue() {
  local done=$2/catalogued file
  [ "$(cat "$done" 2>/dev/null || true)" != "$city_lights" ] || return 0
  for file in "$2"/plan/lights-*.csv; do
    # The key by way of standard input: an argument could be read by others.
    curl -fsS -o /dev/null --max-time "$IMPORT_TIMEOUT_S" -H 'Content-Type: text/csv' --data-binary "@$file" \
      --config - "$1/api/v1/import/lights" <<<"header = \"Authorization: Bearer $(cat "$2/api-key")\"" ||
      fail "the server did not take $file"
  done
  echo "$city_lights" >"$done"
}

# city_start PORT DATA_DIR FAULTS: returns when the server answers and the lights are online.
city_start() {
  local url=http://127.0.0.1:$1 server_log=$2/server.log fleet_log=$2/fleet.log
  "$CARGO_TARGET_DIR/release/ccms" serve --listen "127.0.0.1:$1" --enrolment open >"$server_log" 2>&1 &
  server_pid=$!
  wait_for "the server" "$READY_TIMEOUT_S" "$server_pid" "$server_log" curl -fsS -o /dev/null "$url/readyz"
  say "handing $city_lights lights to the server"
  city_catalogue "$url" "$2"
  "$CARGO_TARGET_DIR/release/ccms-fleet" run "${fleet_options[@]}" --server "$url" --faults "$3" \
    --state-dir "$2/fleet" --clock-offset-seconds "$clock_offset_s" >"$fleet_log" 2>&1 &
  fleet_pid=$!
  wait_for "the lights" $((ONLINE_TIMEOUT_S + city_lights / ONLINE_PER_S)) "$fleet_pid" "$fleet_log" grep -q '^all [0-9]* lights online' "$fleet_log"
}

# wait_for WHAT SECONDS PID LOG COMMAND…: until COMMAND succeeds, while the process lives.
wait_for() {
  local what=$1 seconds=$2 pid=$3 log=$4 start=$SECONDS
  shift 4
  say "waiting for $what"
  until "$@" 2>/dev/null; do
    kill -0 "$pid" 2>/dev/null || { tail -n 20 "$log" >&2 && fail "$what stopped; its log: $log"; }
    [ $((SECONDS - start)) -lt "$seconds" ] || { tail -n 20 "$log" >&2 && fail "$what not there after $seconds s; log: $log"; }
    sleep 0.3
  done
}

# city_watch: returns only when one of the two processes ends by itself, and that is a failure.
city_watch() {
  wait -n "$server_pid" "$fleet_pid" || true
  fail "a part of the city stopped by itself; see server.log and fleet.log in $CCMS__DATA_DIR"
}

# city_stop: devices first, then the server, which commits what it has accepted, then its database.
city_stop() {
  local pid
  trap '' INT TERM
  for pid in $fleet_pid $server_pid; do
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  postgres_stop
  if [ -n "$server_pid" ]; then say "stopped"; fi
}
