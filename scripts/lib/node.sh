# Node, the npm packages of end2end/ by their lock file, and Leaflet copied from there into public/.
# shellcheck shell=bash

NODE_MIN=22.12 # what @axe-core/playwright asks for
NODE_VERSION=24.20.0
NPM_VERSION=11.21.2

setup_node() {
  at_least "$(version_of node)" "$NODE_MIN" || node_from_npm
  npm_packages
  leaflet_files
}

# Node itself as an npm package, for distributions that are behind (Debian 12 has 18).
node_from_npm() {
  local cpu
  case $(uname -m) in x86_64) cpu=x64 ;; aarch64) cpu=arm64 ;; *) fail "please install node $NODE_MIN or newer" ;; esac
  say "installing node $NODE_VERSION into the cache folder (this system has $(version_of node))"
  rm -rf "$CCMS_CACHE/node"
  mkdir -p "$CCMS_CACHE/node/bin"
  quietly node npm install --prefix "$CCMS_CACHE/node" --no-audit --no-fund --no-save \
    "node-linux-$cpu@$NODE_VERSION" "npm@$NPM_VERSION"
  ln -s "../node_modules/node-linux-$cpu/bin/node" "$CCMS_CACHE/node/bin/node"
  ln -s ../node_modules/npm/bin/npm-cli.js "$CCMS_CACHE/node/bin/npm"
  ln -s ../node_modules/npm/bin/npx-cli.js "$CCMS_CACHE/node/bin/npx"
  hash -r
}

npm_packages() {
  local folder=$CCMS_CHECKOUT/end2end stamp lock
  stamp=$folder/node_modules/.ccms-lock
  lock=$(cksum <"$folder/package-lock.json")
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$lock" ]; then return; fi
  say "installing the npm packages of end2end/"
  quietly npm npm ci --prefix "$folder" --no-audit --no-fund
  echo "$lock" >"$stamp"
}

# The lock file is the only source of the map library; nothing of it is kept in git.
leaflet_files() {
  local from=$CCMS_CHECKOUT/end2end/node_modules/leaflet/dist to=$CCMS_CHECKOUT/public/vendor/leaflet
  if [ -f "$to/leaflet.js" ] && cmp -s "$from/leaflet.js" "$to/leaflet.js"; then return; fi
  say "copying Leaflet into public/vendor/leaflet"
  rm -rf "$to"
  mkdir -p "$to"
  cp -R "$from/leaflet.js" "$from/leaflet.css" "$from/images" "$to/"
}
