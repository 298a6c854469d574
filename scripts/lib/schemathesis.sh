# schemathesis over the API's own description, on a real server over loopback: every phase, with an administrator's key on the
# REST API and with a device's token on the device contract. Used by a step of scripts/test:
#   api_fuzz            runs it against $CARGO_TARGET_DIR/debug/ccms; 0 when nothing was found
# shellcheck shell=bash

SCHEMATHESIS_VERSION=4.32.0

# The tool lives beside the other tools, outside the checkout; installed once.
schemathesis_path() {
  local venv=$CCMS_CACHE/schemathesis/venv
  if [ "$("$venv/bin/schemathesis" --version 2>/dev/null)" != "schemathesis, version $SCHEMATHESIS_VERSION" ]; then
    python_venv "$venv" "schemathesis==$SCHEMATHESIS_VERSION" || return 1
  fi
  printf '%s\n' "$venv/bin/schemathesis"
}

api_fuzz() {
  local tool work server status=0 base
  tool=$(schemathesis_path) || { say "NOT CHECKED: the API against its description (schemathesis could not be installed)"; return 0; }
  work=$(mktemp -d)
  # A device may say as much as it likes here; its limits have tests of their own.
  CCMS__LIMITS__DEVICE_PER_SECOND=10000 CCMS__LIMITS__DEVICE_BURST=100000 CCMS__LIMITS__FLEET_PER_DEVICE_PER_SECOND=10000 \
    CCMS__METRICS__LISTEN=127.0.0.1:0 CCMS__LOG__LEVEL=warn \
    "$CARGO_TARGET_DIR/debug/ccms" serve --enrolment open --listen 127.0.0.1:0 --data-dir "$work/data" \
    >"$work/server.out" 2>"$work/server.log" &
  server=$!
  for _ in $(seq 100); do
    base=$(sed -n 's/^CCMS listens on //p' "$work/server.out")
    [ -z "$base" ] || break
    sleep 0.1
  done
  if [ -z "$base" ]; then
    cat "$work/server.log" >&2
    status=1
  else
    api_fuzz_against "$tool" "$base" "$work" || status=$?
  fi
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  if [ "$status" -ne 0 ]; then tail -n 20 "$work/server.log" >&2; fi
  rm -rf "$work"
  return "$status"
}

# api_fuzz_against TOOL BASE_URL WORK_FOLDER
api_fuzz_against() {
  local tool=$1 base=$2 work=$3 status=0
  export CCMS_DEVICE_ID=IMEI:351234567890123 CCMS_DEVICE_TOKEN CCMS_API_KEY
  CCMS_API_KEY=$("$CARGO_TARGET_DIR/debug/ccms" api-key create --name fuzz --scopes admin --data-dir "$work/data" 2>/dev/null)
  CCMS_DEVICE_TOKEN=$(curl -fsS "$base/api/device/$CCMS_DEVICE_ID/configure" -H 'Content-Type: application/json' \
    -d "{\"device_id\":\"$CCMS_DEVICE_ID\"}" | sed -n 's/.*"device_token":"\([^"]*\)".*/\1/p')
  # The device first: the other run may revoke it.
  for which in --include-tag --exclude-tag; do
    (cd "$work" && "$tool" --config-file "$CCMS_CHECKOUT/scripts/lib/schemathesis.toml" run "$base/api/openapi.json" \
      "$which" "Device contract" --phases examples,coverage,fuzzing,stateful --seed "${CCMS_FUZZ_SEED:-1}" \
      --max-time "${CCMS_FUZZ_SECONDS:-60}" --suppress-health-check all --no-shrink) || status=1
  done
  return "$status"
}
