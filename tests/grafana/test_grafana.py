"""The dashboard, the rules and the metrics agree: what is drawn is emitted, what is emitted is drawn, and Prometheus's own tool parses it."""
import json
import re
import subprocess
import time

import pytest
import yaml
from harness import KEY, ROOT, UPSTREAM_KEY, Gateway, call, configuration, parse_metrics
from upstream import Upstream

DASHBOARDS = sorted((ROOT / "grafana/dashboards").glob("*.json"))
RULES = sorted((ROOT / "grafana/rules").glob("*.yml"))


def promtool(*arguments, text=None):
    return subprocess.run(["promtool", *arguments], input=text, text=True, capture_output=True, timeout=60)


def panels(value):
    if isinstance(value, dict):
        if "targets" in value:
            yield value
        for inner in value.values():
            yield from panels(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from panels(inner)


def expressions():
    """(where, PromQL) of every panel and rule."""
    for path in DASHBOARDS:
        for panel in panels(json.loads(path.read_text())):
            for target in panel["targets"]:
                yield f"{path.name}: {panel['title']}", target["expr"]
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                yield f"{path.name}: {rule.get('record') or rule['alert']}", rule["expr"]


def metric(name):
    return re.sub(r"_(bucket|sum|count)$", "", name)


@pytest.fixture(scope="module")
def scrape(tmp_path_factory):
    """What `/metrics` says after calls that touch everything: tiers, cache, cascade, prices known and unknown, streams, faults."""
    extra = '[cascade]\nenabled = true\nstay_big = 0\ntiers = ["medium", "complex", "reasoning"]\n[cache]\nenabled = true\n'
    state = tmp_path_factory.mktemp("state")
    extra += f'[labels]\nenabled = true\nshadow_share = 1\nfile = "{state}/labels.jsonl"\n'
    with Upstream(key=UPSTREAM_KEY) as upstream:
        toml = configuration(upstream.url, "o:gpt-4o-mini", "o:gpt-4o", "a:claude-sonnet-4-5", "a:claude-opus-4-5", extra=extra)
        with Gateway(toml) as gateway:
            def ask(model, text, path="/v1/chat/completions", **more):
                body = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": text}], **more}
                call(gateway.url, path, body, {"x-api-key": KEY, "anthropic-version": "2023-06-01", "authorization": f"Bearer {KEY}"})

            for tier in ("simple", "medium", "complex", "reasoning"):
                ask(f"tierway/{tier}", f"accepted on {tier}")
                ask(f"tierway/{tier}", f"streamed on {tier}", stream=True)
                ask(f"tierway/{tier}", f"the other dialect on {tier}", "/v1/messages", stream=True)
            ask("auto", "the beginning of a conversation")
            for _ in range(3):
                ask("tierway/simple", "the same again", temperature=0)
            upstream.behaviour["gpt-4o-mini"] = "refuse"
            for tier in ("medium", "complex", "reasoning"):
                ask(f"tierway/{tier}", f"deferred on {tier}")
            upstream.behaviour["gpt-4o"] = "text-cached"
            ask("o:gpt-4o", "cached input")
            ask("o:nobody-knows-its-price", "unpriced")
            ask("o:e500-x", "an upstream's error")
            ask("no-such-model", "refused")
            time.sleep(0.5)
            yield call(gateway.admin, "/metrics").text


def test_expressions_parse(tmp_path):
    """Grafana's variables filled in, every panel's expression is PromQL."""
    rules = []
    for number, (where, expression) in enumerate(expressions()):
        for variable, value in {"$__rate_interval": "5m", "$__range": "1h", "$job": ".*"}.items():
            expression = expression.replace(variable, value)
        assert "$" not in expression, where
        rules.append({"record": f"panel:{number}", "expr": expression})
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    told = promtool("check", "rules", str(file))
    assert told.returncode == 0, told.stderr


def test_rules_and_configuration():
    for arguments in (
        ("check", "rules", *map(str, RULES)),
        ("check", "config", str(ROOT / "grafana/prometheus.yml")),
        ("test", "rules", str(ROOT / "tests/grafana/rules_test.yml")),
    ):
        told = promtool(*arguments)
        assert told.returncode == 0, told.stdout + told.stderr
    for path in (ROOT / "grafana/provisioning").rglob("*.yml"):
        assert yaml.safe_load(path.read_text())["apiVersion"] == 1


def test_the_dashboard_is_whole():
    for path in DASHBOARDS:
        dashboard = json.loads(path.read_text())
        found = list(panels(dashboard))
        assert len(found) >= 12 and dashboard["uid"]
        assert all(p["title"] and p["fieldConfig"]["defaults"]["unit"] for p in found)
        ids = [p["id"] for p in dashboard["panels"]]
        assert len(ids) == len(set(ids))
        spots = [(p["gridPos"]["y"], p["gridPos"]["x"]) for p in dashboard["panels"]]
        assert spots == sorted(set(spots)) and all(p["gridPos"]["x"] + p["gridPos"]["w"] <= 24 for p in dashboard["panels"])


def test_metrics_are_valid(scrape):
    told = promtool("check", "metrics", text=scrape)
    # 3: it parses, and the linter has remarks on names
    assert told.returncode in (0, 3), told.stderr
    assert "sk-" not in scrape


def test_what_is_drawn_is_emitted(scrape):
    series = parse_metrics(scrape)
    emitted = {metric(name) for name, _ in series}
    labels = {}
    for name, found in series:
        labels.setdefault(metric(name), set()).update(label for label, _ in found)
    missing = set()
    for where, expression in expressions():
        known = {"job", "instance"}
        for name, matchers in re.findall(r"\b(tierway_[a-z0-9_]+)(?:\{([^}]*)\})?", expression):
            if metric(name) not in emitted:
                missing.add(f"{where}: {name}")
                continue
            known |= labels[metric(name)]
            wanted = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)) - {"job", "instance"}
            if wanted - labels[metric(name)]:
                missing.add(f"{where}: {name} has no label {wanted - labels[metric(name)]}")
        for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
            by = {label.strip() for label in grouped.split(",")}
            if "tierway:" not in expression and by - known:
                missing.add(f"{where}: grouped by {by - known}")
    assert not missing, "\n".join(sorted(missing))


def test_what_is_emitted_is_drawn(scrape):
    drawn = {metric(name) for _, expression in expressions() for name in re.findall(r"\btierway_[a-z0-9_]+", expression)}
    emitted = {metric(name) for name, _ in parse_metrics(scrape) if name.startswith("tierway_")}
    assert not emitted - drawn - {"tierway_build_info"}


def test_the_books_balance(scrape):
    """baseline + extra = cost + saved, over the calls whose prices are known."""
    series = parse_metrics(scrape)

    def total(name):
        return sum(value for (found, _), value in series.items() if found == name)

    left = total("tierway_baseline_usd_total") + total("tierway_extra_cost_usd_total")
    right = total("tierway_cost_usd_total") + total("tierway_saved_usd_total")
    assert left > 0 and left == pytest.approx(right, rel=1e-9)
    assert total("tierway_unpriced_tokens_total") > 0
