#!/usr/bin/env python3
"""The vendor's own suite: the openai SDK's API tests, taken from its source distribution, through the gateway.

usage: vendor_openai.py [--direct] [--verbose]     --direct: only against the upstream itself

The upstream is `steady`, which answers from OpenAI's own OpenAPI description (tests/fixtures/openai-openapi.tgz) and refuses a request
that does not fit it. Not every test passes there directly; each `create` that does must pass through the gateway as well (save for EXCEPTIONS),
and so must the models. Those of the Responses API count where the gateway serves it.
"""
import re
import subprocess
import sys
import tarfile

from harness import CACHE, KEY, ROOT, UPSTREAM_KEY, Gateway, Process, call, clean_environment, configuration, free_port
from vendor import python, source

VERSION = "3.54.0"
SUITE_KEY = "My API Key"  # the one that the suite sends
MODEL = "gpt-6-astra"
FILES = ["chat/test_completions.py", "test_completions.py", "test_embeddings.py", "test_models.py", "test_responses.py", "responses/test_input_tokens.py"]
STEADY = CACHE / "steady/node_modules/.bin/steady"
# Fewer that pass directly would mean that the suite was not run whole.
AT_LEAST = 200

# What passes directly and is not demanded of the gateway, each with its reason; the run prints how many that are.
EXCEPTIONS = {
    r"^tests/api_resources/test_completions.py::.*_overload_2": "steady answers a completion's stream request with a whole answer, which the gateway refuses to pass on",
    r"test_responses.py::.*::test_(method|raw_response|streaming_response)_create_overload_[12]\[": "they name no model, and the gateway has to choose one by its name",
}


def description():
    """OpenAI's description with `/v1` in its paths, as a file."""
    file = CACHE / "vendor/openapi-v1.yaml"
    if not file.exists():
        with tarfile.open(ROOT / "tests/fixtures/openai-openapi.tgz") as archive:
            text = archive.extractfile("openapi.yaml").read().decode()
        head, paths = text.split("\npaths:\n", 1)
        paths, rest = re.split(r"\n(?=webhooks:|components:)", paths, maxsplit=1)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{head}\npaths:\n" + re.sub(r"(?m)^  /", "  /v1/", paths) + "\n" + rest)
    return file


def run(url):
    """Runs the suite there: {test: passed, failed, ...}."""
    tree = source("openai", VERSION)
    command = [python("openai", VERSION), "-m", "pytest", "-q", "-rA", "-n", "0", "-p", "no:cacheprovider", "--tb=line", *[f"tests/api_resources/{f}" for f in FILES]]
    done = subprocess.run(command, cwd=tree, env=clean_environment(TEST_API_BASE_URL=url + "/v1"), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    found = {test: word.lower() for word, test in re.findall(r"(?m)^(PASSED|FAILED|ERROR) (\S+)", done.stdout)}
    return found, done.stdout


def expected(test, responses):
    """Whether the gateway must pass it, if the upstream itself does."""
    if "responses/" in test or "test_responses" in test:
        return responses and "create" in test
    return "create" in test or "test_models" in test and "delete" not in test


def main():
    port = free_port()
    command = [STEADY, "--host", "127.0.0.1", "-p", str(port), "--quiet", description()]
    with Process([str(c) for c in command], clean_environment()) as steady:
        steady.wait_port(port, 60)
        upstream = f"http://127.0.0.1:{port}"
        direct, output = run(upstream)
        passed = {t for t, word in direct.items() if word == "passed"}
        print(f"openai {VERSION} directly: {len(passed)} of {len(direct)} passed")
        if len(passed) < AT_LEAST:
            print(output[-4000:])
            return False
        if "--direct" in sys.argv:
            return True
        keys = f'[[keys]]\nkey = "{SUITE_KEY}"\ntenant = "vendor"\n[[keys]]\nkey = "{KEY}"\n[models]\n"*" = "o:{MODEL}"\n'
        tiers = dict.fromkeys(("simple", "medium", "complex", "reasoning"), f"o:{MODEL}")
        toml = configuration(upstream, **tiers, keys=False, extra=keys + "[cascade]\nenabled = false\n[cache]\nenabled = false\n")
        with Gateway(toml.replace('"openai-compatible"', '"openai"')) as gateway:
            responses = call(gateway.url, "/v1/responses", {"model": MODEL, "input": "hi"}, {"authorization": f"Bearer {KEY}"}).status != 404
            through, output = run(gateway.url)
            assert UPSTREAM_KEY not in output, "the upstream's key was shown"
            log = gateway.log
    wanted = {t for t in passed if expected(t, responses)}
    for pattern, reason in EXCEPTIONS.items():
        excepted = {t for t in wanted if re.search(pattern, t) and through.get(t) != "passed"}
        wanted -= excepted
        print(f"not demanded: {len(excepted)}: {reason}")
    lost = sorted(t for t in wanted if through.get(t) != "passed")
    print(f"openai {VERSION} through the gateway: {sum(w == 'passed' for w in through.values())} of {len(through)} passed")
    print(f"expected of it: {len(wanted) - len(lost)} of {len(wanted)}" + ("" if responses else " (it serves no Responses API)"))
    for test in lost:
        print(f"FAILED {test}")
    if lost:
        print(output[-6000:] if "--verbose" in sys.argv else "\n".join(line for line in output.splitlines() if line.startswith(("E ", "/")))[:6000])
        print(log[-2000:])
    print(f"test result: {len(wanted) - len(lost)} passed; {len(lost)} failed;")
    return not lost


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
