#!/usr/bin/env python3
"""The vendor's own suite: the anthropic SDK's API tests, taken from its source distribution, through the gateway.

usage: vendor.py [--direct] [VERSION ...]     --direct: against the scripted upstream itself

The source distribution of each version is downloaded once by pip into the test cache and its tests are run from there, unchanged.
$ANTHROPIC_SDK_TESTS names a folder with such a source tree to use instead of a download.
"""
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from harness import CACHE, Gateway, clean_environment, configuration
from upstream import Upstream

# How many cases each version has: fewer would mean that the suite was not run whole.
CASES = {"0.121.0": 220, "2.12.0": 215}
FILES = ["test_messages.py", "test_models.py", "beta/test_messages.py", "beta/test_models.py"]
KEY = "my-anthropic-api-key"  # the one that the suite sends
UPSTREAM_KEY = "sk-upstream-0002"


def source(package, version):
    """The unpacked source distribution."""
    if given := os.environ.get(f"{package.upper()}_SDK_TESTS"):
        return Path(given)
    folder = CACHE / "vendor"
    tree = folder / f"{package}-{version}"
    if not tree.exists():
        folder.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*pip, "--dest", folder, f"{package}=={version}"], check=True)
        with tarfile.open(folder / f"{package}-{version}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    return tree


def python(package, version, extra="[aiohttp]"):
    """An environment with that SDK."""
    folder = CACHE / f"venv-{package}-{version}"
    done = folder / "ready"
    if not done.exists():
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", folder], check=True)
        wanted = ["--requirements", Path(__file__).with_name("vendor-requirements.txt"), f"{package}{extra}=={version}"]
        subprocess.run([uv, "pip", "install", "--quiet", "--python", folder / "bin/python", *wanted], check=True)
        done.touch()
    return folder / "bin/python"


def run(version, url):
    """Runs the suite of one version, and whether it passed whole."""
    tests = [f"tests/api_resources/{name}" for name in FILES]
    command = [python("anthropic", version), "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *tests]
    result = subprocess.run(command, cwd=source("anthropic", version), env=clean_environment(TEST_API_BASE_URL=url), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(f"anthropic {version}:")
    print(result.stdout if result.returncode else result.stdout[-200:], flush=True)
    wanted = CASES.get(version)
    return result.returncode == 0 and (wanted is None or f"{wanted} passed" in result.stdout)


def main():
    arguments = sys.argv[1:]
    versions = [a for a in arguments if not a.startswith("-")] or list(CASES)
    with Upstream(key=None if "--direct" in arguments else UPSTREAM_KEY, strict=False) as upstream:
        if "--direct" in arguments:
            return all([run(v, upstream.url) for v in versions])
        toml = configuration(
            upstream.url, "a:claude-scripted", "a:claude-scripted", "a:claude-scripted", "a:claude-scripted", keys=False,
            extra=f'[[keys]]\nkey = "{KEY}"\ntenant = "vendor"\n[models]\n"*" = "a:claude-scripted"\n[cascade]\nenabled = false\n[cache]\nenabled = false\n',
        )
        with Gateway(toml) as gateway:
            passed = all([run(v, gateway.url) for v in versions])
            if not passed:
                print(gateway.log[-2000:])
            return passed


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
