#!/usr/bin/env python3
"""The vendor's own suite: the anthropic SDK's API tests, taken from its source distribution, through the gateway, on an upstream of each format.

usage: vendor.py [--direct] [VERSION ...]     --direct: against the scripted upstream itself

The source distribution of each version is downloaded once by pip into the test cache and its tests are run from there, unchanged.
$ANTHROPIC_SDK_TESTS names a folder with such a source tree to use instead of a download.
"""
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

from harness import CACHE, FORMATS, PATHS, UPSTREAM_KEY, Gateway, clean_environment, configuration
from upstream import Upstream

# How many cases each version has: fewer would mean that the suite was not run whole.
CASES = {"0.121.0": 220, "2.12.0": 215}
FILES = ["test_messages.py", "test_models.py", "beta/test_messages.py", "beta/test_models.py"]
# What is not there for a format: by formats, the versions and their cases that ask for it, how the gateway must refuse each, and the reason.
# The first that fits a case counts. All other cases must pass.
LACKS = [
    ("orbg", ["2.12.0"], r"/beta/.*::test_method_create_with_all_params_overload_[12]\[", "thread: the provider behind this name holds no conversations", "only Anthropic holds a conversation (thread)"),
    ("r", list(CASES), r"::test_method_create_with_all_params_overload_[12]\[", "stop: the model behind this name knows no stop sequences", "OpenAI's Responses knows no stop sequences"),
]
KEY = "my-anthropic-api-key"  # the one that the suite sends


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
    """Runs the suite of one version: {test: passed, failed, ...} and what it printed."""
    tests = [f"tests/api_resources/{name}" for name in FILES]
    command = [python("anthropic", version), "-m", "pytest", "-q", "-rA", "-n", "0", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=source("anthropic", version), env=clean_environment(TEST_API_BASE_URL=url), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return {test: word.lower() for word, test in re.findall(r"(?m)^(PASSED|FAILED|ERROR) (\S+)", done.stdout)}, done.stdout


def judge(version, provider, url):
    """Runs it and tells how it went: the number that passed, and of those that should have and did not."""
    found, output = run(version, url)
    passed = {test for test, word in found.items() if word == "passed"}
    print(f"anthropic {version}, {FORMATS[provider]}: {len(passed)} of {len(found)} passed")
    lost = set(found) - passed
    excepted = set()
    for formats, versions, pattern, refusal, reason in LACKS:
        if provider not in formats or version not in versions:
            continue
        cases = {test for test in found if re.search(pattern, test)} - excepted
        excepted |= cases
        print(f"  {len(cases)} ask for what is not there: {reason}")
        # Each must be refused, and for this reason.
        if cases & passed or len(re.findall(f"(?m)^E +.*{re.escape(refusal)}", output)) < len(cases):
            lost.add(f"{pattern} is not refused with '{refusal}'")
    lost -= excepted
    passed -= excepted
    if len(found) != CASES.get(version, len(found)):
        lost.add(f"{CASES[version]} cases were expected")
    if lost:
        print("".join(f"FAILED {test}\n" for test in sorted(lost)) + output[-6000:])
    sys.stdout.flush()
    return len(passed), len(lost)


def through(upstream, provider, versions):
    """The same through a gateway all of whose models are one at that provider."""
    model = f"{provider}:claude-scripted"
    extra = f'[[keys]]\nkey = "{KEY}"\ntenant = "vendor"\n[models]\n"*" = "{model}"\n[cascade]\nenabled = false\n[cache]\nenabled = false\n'
    # Anthropic itself takes what compatible servers need not have.
    toml = configuration(upstream.url, *[model] * 4, keys=False, extra=extra).replace('"anthropic-compatible"', '"anthropic"')
    with Gateway(toml) as gateway:
        upstream.clear()
        counts = [judge(version, provider, gateway.url) for version in versions]
        if any(lost for _, lost in counts):
            print(gateway.log[-2000:])
        asked, others = upstream.received(PATHS[provider]), [p for name, p in PATHS.items() if name != provider]
        assert asked and not any(upstream.received(path) for path in others), "the suite asked in another format"
        return counts


def main():
    arguments = sys.argv[1:]
    versions = [a for a in arguments if not a.startswith("-")] or list(CASES)
    direct = "--direct" in arguments
    with Upstream(key=None if direct else UPSTREAM_KEY) as upstream:
        if direct:
            counts = [judge(version, "a", upstream.url) for version in versions]
        else:
            counts = [count for provider in FORMATS for count in through(upstream, provider, versions)]
    print(f"test result: {sum(p for p, _ in counts)} passed; {sum(lost for _, lost in counts)} failed;")
    return not any(lost for _, lost in counts)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
