#!/usr/bin/env bash
# Peers' scorers and ours on sets of labelled rows, one table; and the cost-quality curves.
#
#   tests/bench/cascade/run.sh [FILE...]     without files: the fixture that is shipped
#   CURVES=docs/img tests/bench/cascade/run.sh FILE...     draws a curve for each set, too
#   DOC=docs/cascade.md ... puts the table where that page has it
#
# Needs python3 and $TIERWAY_BIN, or cargo to build it.
set -euo pipefail
cd "$(dirname "$0")/../../.."
if [ -z "${TIERWAY_BIN:-}" ]; then
  cargo build --quiet --locked --release --bin tierway
  export TIERWAY_BIN=${CARGO_TARGET_DIR:-target}/release/tierway
fi
[ $# -gt 0 ] || set -- tests/fixtures/outcomes.jsonl
# a file holds one set for the table: those with several are taken apart
parts=$(mktemp -d)
trap 'rm -rf "$parts"' EXIT
python3 - "$parts" "$@" <<'PYTHON'
import json, pathlib, sys
folder, *files = sys.argv[1:]
sets = {}
for file in files:
    for line in pathlib.Path(file).read_text().split("\n"):
        if line.strip():
            name = json.loads(line).get("set") or pathlib.Path(file).stem
            sets.setdefault(name, []).append(line)
for number, lines in enumerate(sets.values()):
    pathlib.Path(folder, f"{number:02}.jsonl").write_text("\n".join(lines) + "\n")
PYTHON
python3 tests/bench/cascade/compare.py "$parts"/*.jsonl ${CURVES:+--curves "$CURVES"} | tee "$parts/table.md"
[ -z "${DOC:-}" ] || python3 - "$DOC" "$parts/table.md" <<'PYTHON'
import pathlib, sys
page, table = map(pathlib.Path, sys.argv[1:])
before, rest = page.read_text().split("<!-- tests/bench/cascade/run.sh -->\n", 1)
after = rest.split("<!-- end -->", 1)[1]
page.write_text(f"{before}<!-- tests/bench/cascade/run.sh -->\n{table.read_text()}<!-- end -->{after}")
PYTHON
