#!/usr/bin/env bash
# The gateway beside a bare hyper proxy, nginx and its peers, release build, one table.
#
#   tests/bench/run.sh             what a laptop does in three minutes: nginx as the only stranger
#   tests/bench/run.sh --full      all of it, about half an hour: every configuration, every peer that the registries have, plots
#   tests/bench/run.sh --help      more options
#
# Peers go into .cache/peers (or $TIERWAY_TEST_CACHE/peers): what cannot be had is left out, and the table says so.
set -uo pipefail
cd "$(dirname "$0")/../.."
cache=${TIERWAY_TEST_CACHE:-$PWD/.cache}/peers
mkdir -p "$cache"

missing() { echo "LEFT OUT: $1 cannot be had here" >&2; }
get_nginx() {
  command -v nginx >/dev/null || [ -x "$cache/nginx/usr/sbin/nginx" ] && return
  command -v apt-get >/dev/null || return
  mkdir -p "$cache/nginx"
  (cd "$cache/nginx" && { apt-get download -qq nginx || { apt-get update -qq && apt-get download -qq nginx; }; } && for p in *.deb; do dpkg -x "$p" .; done; rm -f ./*.deb)
  [ -x "$cache/nginx/usr/sbin/nginx" ]
}
# Into a folder of its own, whole or not at all: get FOLDER COMMAND...
get() {
  [ -e "$cache/$1/done" ] && return
  rm -rf "${cache:?}/$1" && "${@:2}" && touch "$cache/$1/done"
}
python() { python3 -m venv "$cache/$1" && "$cache/$1/bin/pip" install --quiet --disable-pip-version-check "${@:2}"; }
node() { command -v npm >/dev/null && npm install --silent --no-audit --no-fund --prefix "$cache/$1" "${@:2}"; }
# Newer versions of the server package break its streams, and it would bring one of its own.
portkey() {
  local server='"@hono/node-server":"1.14.1"'
  mkdir -p "$cache/portkey" && echo "{\"dependencies\":{\"@portkey-ai/gateway\":\"1.15.2\",$server},\"overrides\":{$server}}" >"$cache/portkey/package.json" && node portkey
}

get_nginx || missing nginx
case " $* " in *' --full '*)
  get switchyard python switchyard nemo-switchyard==0.3.0 || missing Switchyard
  get litellm python litellm 'litellm[proxy]==1.106.2' prometheus_client || missing LiteLLM
  get portkey portkey || missing Portkey
  get ccr node ccr @musistudio/claude-code-router@2.0.0 || missing claude-code-router
  ;;
esac
exec cargo bench --locked --bench proxy -- --peers "$cache" "$@"
