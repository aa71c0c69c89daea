#!/usr/bin/env bash
# The gateway against a bare hyper proxy, release build, one table. Options go on to the benchmark: tests/bench/run.sh --seconds 10
set -euo pipefail
cd "$(dirname "$0")/../.."
exec cargo bench --locked --bench proxy -- "$@"
