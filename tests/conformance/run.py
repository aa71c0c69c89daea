#!/usr/bin/env python3
"""The conformance suite: what clients need of a gateway, tried on this one or on any other.

    run.py                                  on tierway, in front of a scripted upstream ($TIERWAY_BIN)
    run.py --target litellm,portkey         on other gateways (installed by peers.sh), or `all`
    run.py --case 1,22 --verbose            some cases only
    run.py --base-url URL --key KEY --model-messages M --model-chat M --model-responses M
                                            on a gateway that already runs: the cases that need no scripted upstream
    run.py --markdown docs/conformance.md   writes the table there too

A cell is `pass`, `FAIL` or `skip`; where a case runs on upstreams of both formats it must pass on both. It exits with 1 if a case fails on
tierway, or on the base URL.
"""
import argparse
import signal
import sys
import time
import traceback
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "clients")]
import report  # noqa: E402
from context import Context, Skip  # noqa: E402
from registry import all_cases  # noqa: E402
from script import Script  # noqa: E402
from targets import TARGETS, Missing, Url  # noqa: E402

from harness import UPSTREAM_KEY  # noqa: E402

SECONDS = 60
FORMATS = {"a": "an Anthropic upstream", "o": "a chat upstream", "l": "its own models"}


class TooLong(Exception):
    """A case did not end."""


def alarm(*_):
    raise TooLong(f"not over after {SECONDS} s")


def attempt(case, target, script, format):
    """One case on one format of the upstream: (result, why)."""
    if script:
        script.clear()
    signal.signal(signal.SIGALRM, alarm)
    signal.alarm(SECONDS)
    try:
        case.run(Context(target, script, format))
        return "pass", ""
    except Skip as skip:
        return "skip", str(skip)
    except AssertionError as failed:
        return "FAIL", str(failed)
    except Exception as error:  # whatever the target made of it, the suite goes on
        where = traceback.extract_tb(error.__traceback__)[-1]
        return "FAIL", f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
    finally:
        signal.alarm(0)


def served(target, script, format):
    """The APIs in which the target answers a plain request to an upstream of this format."""
    if format == "l":
        return list(target.models)
    target.served = {format: ["messages", "chat", "responses"]}
    script.clear()
    found = []
    for api in target.served[format]:
        try:
            if Context(target, script, format).ask(api).status == 200:
                found.append(api)
        except OSError:
            pass
    return found


def run(cases, target, script, verbose):
    """Every case on a target: {number: (result, [why, ...])}."""
    results = {}
    target.served = {format: served(target, script, format) for format in target.formats}
    print(f"{target.name} serves " + ", ".join(f"{'/'.join(apis) or 'nothing'} on {FORMATS[f]}" for f, apis in target.served.items()), flush=True)
    for case in cases:
        formats = [f for f in case.formats if f in target.formats]
        found = [(f, *attempt(case, target, script, f)) for f in formats]
        said = {result for _, result, _ in found}
        result = "FAIL" if "FAIL" in said else "pass" if "pass" in said else "skip"
        why = [f"{FORMATS[f]}: {reason}" for f, outcome, reason in found if outcome == result and reason]
        if not formats:
            why = ["it has no such upstream"] if script else ["needs the scripted upstream"]
        results[case.number] = (result, why)
        if verbose or result == "FAIL":
            print(f"{target.name}: {case.id}: {result}" + "".join(f"\n    {w}" for w in why), flush=True)
    return results


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--target", default="tierway", help="names with commas between, or `all`")
    options.add_argument("--base-url", help="a gateway that already runs")
    options.add_argument("--key", help="its key")
    for api in ("messages", "chat", "responses"):
        options.add_argument(f"--model-{api}", metavar="MODEL", help=f"the model to ask in {api}")
    options.add_argument("--case", help="numbers with commas between")
    options.add_argument("--markdown", metavar="FILE")
    options.add_argument("--verbose", action="store_true")
    given = options.parse_args()
    chosen = {int(n) for n in given.case.split(",")} if given.case else None
    cases = [c for c in all_cases() if chosen is None or c.number in chosen]
    table = {}
    if given.base_url:
        models = {api: model for api in ("messages", "chat", "responses") if (model := getattr(given, f"model_{api}"))}
        if not models:
            options.error("--base-url needs --model-messages, --model-chat or --model-responses")
        target = Url(given.base_url, given.key, models)
        table[target.name] = (target.about, run(cases, target, None, given.verbose))
    else:
        names = list(TARGETS) if given.target == "all" else given.target.split(",")
        if unknown := set(names) - set(TARGETS):
            options.error(f"no target {sorted(unknown)}: {', '.join(TARGETS)}")
        for name in names:
            began = time.monotonic()
            with Script(key=UPSTREAM_KEY, hang=20.0) as script:
                try:
                    target = TARGETS[name](script.url)
                except (Missing, RuntimeError) as error:
                    print(f"!!! {name} is SKIPPED: {error}", flush=True)
                    if name == "tierway":
                        return 1
                    continue
                with target:
                    table[name] = (target.about, run(cases, target, script, given.verbose))
            print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    print("\n" + report.text(cases, table))
    if given.markdown:
        Path(given.markdown).write_text(report.markdown(cases, table))
    own = [name for name in table if name == "tierway" or given.base_url]
    failed = sum(result == "FAIL" for name in own for result, _ in table[name][1].values())
    passed = sum(result == "pass" for name in own for result, _ in table[name][1].values())
    print(f"test result: {passed} passed; {failed} failed;")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
