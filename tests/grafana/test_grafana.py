"""The dashboards, the rules, docs/metrics.md and the metrics agree: what is drawn is emitted, what is emitted is drawn and documented, and a
real Prometheus has data for all of it."""
import http.client
import json
import re
import subprocess
import threading
import time
import urllib.parse

import pytest
import yaml
from harness import KEY, ROOT, UPSTREAM_KEY, Gateway, Process, call, configuration, free_port, parse_metrics
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


def without_groups(expression):
    """Labels that results are grouped by look like metrics."""
    return re.sub(r"\bby \([^)]*\)", "", expression)


def metric(name):
    return re.sub(r"_(bucket|sum|count)$", "", name)


# What this load does not bring about: caches of other stores, models that fail for long, limits. They must be documented, and may be drawn.
SELDOM = {
    "tierway_cache_stored_total", "tierway_cache_evicted_total", "tierway_cache_bytes", "tierway_cache_entries", "tierway_cache_age_seconds",
    "tierway_retries_total", "tierway_fallbacks_total", "tierway_breaker_open", "tierway_breaker_changes_total", "tierway_holdout_calls_total",
    "tierway_holdout_cost_usd_total", "tierway_limited_total", "tierway_shed_total", "tierway_client_telemetry_total",
    "tierway_compressed_tokens_total", "tierway_tool_runs_total",
}


def is_seldom(expression):
    return any(name in SELDOM for name in map(metric, re.findall(r"\btierway_[a-z0-9_]+", expression)))


class Load:
    """Calls that touch everything: tiers, cache, cascade, prices known and unknown, streams, faults. Over and over until the block ends."""

    def __init__(self, gateway, upstream):
        self.gateway, self.upstream, self.stop = gateway, upstream, threading.Event()
        self.rounds = 0

    def ask(self, model, text, path="/v1/chat/completions", **more):
        body = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": text}], **more}
        call(self.gateway.url, path, body, {"x-api-key": KEY, "anthropic-version": "2023-06-01", "authorization": f"Bearer {KEY}"})

    def round(self):
        nth = self.rounds
        self.upstream.behaviour.clear()
        for tier in ("simple", "medium", "complex", "reasoning"):
            self.ask(f"tierway/{tier}", f"accepted on {tier} {nth}")
            self.ask(f"tierway/{tier}", f"streamed on {tier} {nth}", stream=True)
            self.ask(f"tierway/{tier}", f"the other dialect on {tier} {nth}", "/v1/messages", stream=True)
        self.ask("auto", "the beginning of a conversation")
        for _ in range(3):
            self.ask("tierway/simple", "the same again", temperature=0)
        self.upstream.behaviour["gpt-4o-mini"] = "refuse"
        for tier in ("medium", "complex", "reasoning"):
            self.ask(f"tierway/{tier}", f"deferred on {tier} {nth}")
        self.upstream.behaviour["gpt-4o"] = "text-cached"
        self.ask("o:gpt-4o", f"cached input {nth}")
        self.ask("c:claude-sonnet-4-5", f"too short to be marked {nth}", "/v1/messages")
        self.ask("o:nobody-knows-its-price", f"unpriced {nth}")
        self.ask("o:e500-x", "an upstream's error")
        self.ask("no-such-model", "refused")
        self.rounds += 1

    def run(self):
        while not self.stop.is_set():
            try:
                self.round()
            except (OSError, http.client.HTTPException):
                # One that breaks off is counted too.
                continue

    def __enter__(self):
        self.round()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A gateway under load."""
    extra = '[cascade]\nenabled = true\nstay_big = 0\ntiers = ["medium", "complex", "reasoning"]\n[cache]\nenabled = true\n'
    state = tmp_path_factory.mktemp("state")
    extra += f'[labels]\nenabled = true\nshadow_share = 1\nfile = "{state}/labels.jsonl"\n'
    with Upstream(key=UPSTREAM_KEY) as upstream:
        extra += f'[providers.c]\nkind = "anthropic"\nbase_url = "{upstream.url}"\napi_key = "{UPSTREAM_KEY}"\n'
        toml = configuration(upstream.url, "o:gpt-4o-mini", "o:gpt-4o", "a:claude-sonnet-4-5", "a:claude-opus-4-5", extra=extra)
        with Gateway(toml) as gateway, Load(gateway, upstream):
            yield gateway


@pytest.fixture(scope="module")
def scrape(loaded):
    """What `/metrics` says after a while of that."""
    time.sleep(1)
    return call(loaded.admin, "/metrics").text


class Prometheus(Process):
    """The real one, with this repository's configuration and rules, but in a hurry: it scrapes and evaluates every second."""

    def __init__(self, gateway, folder):
        hurry = lambda text: re.sub(r"(interval: )\d+s", r"\g<1>1s", text)
        (folder / "rules").mkdir()
        for path in RULES:
            (folder / "rules" / path.name).write_text(hurry(path.read_text()))
        config = hurry((ROOT / "grafana/prometheus.yml").read_text())
        config = config.replace("127.0.0.1:9787", gateway.admin.removeprefix("http://"))
        (folder / "prometheus.yml").write_text(config)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        super().__init__(
            ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"]
        )
        self.wait_port(port, 20)

    def get(self, path, **query):
        answer = call(self.url, f"/api/v1/{path}?{urllib.parse.urlencode(query)}").json
        assert answer["status"] == "success", answer
        return answer["data"]

    def values(self, expression):
        """What an expression is now; what is not a number is no data."""
        values = [float(series["value"][1]) for series in self.get("query", query=expression)["result"]]
        return [value for value in values if value == value]


@pytest.fixture(scope="module")
def prometheus(loaded, tmp_path_factory):
    with Prometheus(loaded, tmp_path_factory.mktemp("prometheus")) as prometheus:
        yield prometheus


def filled(expression):
    """With Grafana's variables as they may be, and with comparisons that answer 0 or 1 instead of leaving out what does not hold."""
    for variable, value in {"$__rate_interval": "15s", "$__range": "1m", "$job": "tierway"}.items():
        expression = expression.replace(variable, value)
    return re.sub(r"\s(==|!=|>=|<=|>|<)\s(?!bool)", r" \1 bool ", expression)


def test_every_panel_and_rule_has_data(prometheus):
    """A real Prometheus scrapes the gateway under load; every expression gives a number."""
    missing, end = [("nothing was asked", "")], time.monotonic() + 60
    while missing and time.monotonic() < end:
        time.sleep(2)
        missing = [(where, expression) for where, expression in expressions() if not is_seldom(expression) and not prometheus.values(filled(expression))]
    assert not missing, "\n".join(f"{where}: {expression}" for where, expression in missing)
    (target,) = prometheus.get("targets")["activeTargets"]
    assert target["health"] == "up", target
    groups = prometheus.get("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules and all(rule["health"] == "ok" for rule in rules), rules
    # Money adds up there too.
    sides = "sum(tierway_baseline_usd_total) + sum(tierway_extra_cost_usd_total)", "sum(tierway_cost_usd_total) + sum(tierway_saved_usd_total)"
    left, right = (prometheus.values(side)[0] for side in sides)
    assert left == pytest.approx(right, rel=1e-9) and left > 0


def documented():
    """The names, kinds and labels of docs/metrics.md."""
    table = (ROOT / "docs/metrics.md").read_text().split("<!-- metrics -->")[1]
    rows = re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \| [^|]* \| ([^|]*) \|", table, re.M)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def test_what_is_emitted_is_documented(scrape):
    """Name, kind and labels of every series."""
    table = documented()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\w+)$", scrape, re.M))
    assert {name for name, kind in kinds.items() if table.get(name, ("",))[0] != kind} == set()
    wrong = set()
    for name, labels in parse_metrics(scrape):
        plain = name if name in table else metric(name)
        told = {label for label, _ in labels} - {"le"}
        if plain not in table or told != table[plain][1]:
            wrong.add(f"{name} {sorted(told)}")
    assert not wrong, wrong


def test_what_is_documented_is_emitted(scrape):
    """Under a load that touches everything, every other metric of the page is there."""
    names = {name for name, _ in parse_metrics(scrape)}
    assert set(documented()) - names - {metric(name) for name in names} - SELDOM == set()


def test_the_buckets_are_what_the_page_says(scrape):
    page = (ROOT / "docs/metrics.md").read_text().split("| Upper bounds |")[1]
    bounds = {name: [float(b) for b in text.split(",")] for name, text in re.findall(r"^\| `?([\w ]+)`? \| ([\d., ]+) \|$", page, re.M)}
    found = {}
    for name, labels in parse_metrics(scrape):
        if name.endswith("_bucket"):
            found.setdefault(metric(name), set()).add(dict(labels)["le"])
    assert found
    for name, uppers in found.items():
        assert sorted(float(u) for u in uppers - {"+Inf"}) == bounds.get(name, bounds["all others"]), name


def test_series_do_not_grow_with_what_callers_write(loaded):
    """A thousand made-up models, tools and conversations make no series."""
    before = {(name, labels) for name, labels in loaded.metrics()}
    for n in range(200):
        body = {"model": f"made-up-{n}", "messages": [{"role": "user", "content": f"hello {n}"}], "user": f"user-{n}"}
        call(loaded.url, "/v1/chat/completions", body, {"authorization": f"Bearer {KEY}", "x-tierway-session": f"s{n}"})
        body["model"] = f"o:e404-made-up-{n}"
        call(loaded.url, "/v1/chat/completions", body, {"authorization": f"Bearer {KEY}"})
    after = {(name, labels) for name, labels in loaded.metrics()}
    grown = after - before
    assert not any("made-up" in str(labels) for _, labels in grown)
    assert len(grown) < 200, len(grown)


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
    for name in SELDOM:
        emitted.add(metric(name))
        labels.setdefault(metric(name), set()).update(documented()[name][1])
    missing = set()
    for where, expression in expressions():
        known = {"job", "instance"}
        for name, matchers in re.findall(r"\b((?:tierway|gen_ai|process)_[a-z0-9_]+)(?:\{([^}]*)\})?", without_groups(expression)):
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
    drawn = {metric(name) for _, expression in expressions() for name in re.findall(r"\b(?:tierway|gen_ai|process)_[a-z0-9_]+", expression)}
    emitted = {metric(name) for name, _ in parse_metrics(scrape)}
    # No limit to draw.
    assert emitted - drawn - {"process_virtual_memory_max_bytes"} == set()


def test_the_books_balance(scrape):
    """baseline + extra = cost + saved, over the calls whose prices are known."""
    series = parse_metrics(scrape)

    def total(name):
        return sum(value for (found, _), value in series.items() if found == name)

    left = total("tierway_baseline_usd_total") + total("tierway_extra_cost_usd_total")
    right = total("tierway_cost_usd_total") + total("tierway_saved_usd_total")
    assert left > 0 and left == pytest.approx(right, rel=1e-9)
    assert total("tierway_unpriced_tokens_total") > 0
