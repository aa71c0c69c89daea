#!/usr/bin/env bash
# Installs the other gateways that run.py can try, from PyPI and npm, into the test cache. usage: peers.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=${TIERWAY_TEST_CACHE:-$PWD/.cache}
uv=$cache/venv/bin/uv
mkdir -p "$cache/peers/portkey" "$cache/peers/ccr"
python() {
  local folder=$cache/peers/$1; shift
  [ -e "$folder/ready" ] && return
  "$uv" venv --quiet --clear "$folder"
  "$uv" pip install --quiet --python "$folder/bin/python" "$@"
  touch "$folder/ready"
}
python litellm 'litellm[proxy]==1.106.2' prometheus_client
python switchyard nemo-switchyard==0.3.0
# Portkey's streams break with a newer node-server.
echo '{"private":true,"dependencies":{"@portkey-ai/gateway":"1.15.2","@hono/node-server":"1.14.1"},"overrides":{"@hono/node-server":"1.14.1"}}' >"$cache/peers/portkey/package.json"
echo '{"private":true,"dependencies":{"@musistudio/claude-code-router":"2.0.0"}}' >"$cache/peers/ccr/package.json"
for name in portkey ccr; do npm install --silent --no-audit --no-fund --prefix "$cache/peers/$name"; done
