"""The dashboard in a real Chromium: what it shows is what the ledger holds, without a word from elsewhere, for keyboards and readers too."""
import os
import re
import sqlite3
import time
from pathlib import Path

import pytest
import seed
from harness import KEY, ROOT, UPSTREAM_KEY, Gateway, call, configuration
from playwright.sync_api import expect, sync_playwright
from upstream import Upstream

PAGE = ROOT / "src/admin/page"
MODULES = Path(os.environ["BROWSER_MODULES"])
SHOTS = os.environ.get("TIERWAY_SCREENSHOTS")
CASCADE = '[cascade]\nenabled = true\nstay_big = 0\ntiers = ["complex"]\n'


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        libraries = os.environ.get("BROWSER_LIBRARIES")
        environment = {**os.environ, **({"LD_LIBRARY_PATH": libraries} if libraries else {})}
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], env=environment, args=["--no-sandbox", "--disable-gpu", "--font-render-hinting=none"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def upstream():
    with Upstream(key=UPSTREAM_KEY) as upstream:
        yield upstream


def serve(upstream, folder, extra=""):
    extra = f'[ledger]\nfile = "{folder}/ledger.db"\n{extra}' if "[ledger]" not in extra else extra
    return Gateway(configuration(upstream.url, "o:gpt-4o-mini", "o:gpt-4o", "a:claude-sonnet-4-5", "a:claude-opus-4-5", extra=CASCADE + extra))


@pytest.fixture(scope="module")
def full(upstream, tmp_path_factory):
    """A gateway whose ledger holds a week of a team's calls."""
    folder = tmp_path_factory.mktemp("full")
    with serve(upstream, folder) as gateway:
        file, end = folder / "ledger.db", time.monotonic() + 20
        while True:
            try:
                connection = sqlite3.connect(file, timeout=10)
                connection.execute("SELECT COUNT(*) FROM calls")
                break
            except sqlite3.OperationalError:
                assert time.monotonic() < end, gateway.log
                time.sleep(0.1)
        gateway.now = int(time.time() * 1000)
        seed.fill(connection, gateway.now, hours=24 * 7, calls=5000)
        connection.close()
        gateway.rows = seed.rows(gateway.now, hours=24 * 7, calls=5000)
        yield gateway


class Tab:
    """A page that must load nothing from elsewhere and say nothing wrong."""

    def __init__(self, browser, gateway, width=1320, height=900, scheme="light", **more):
        self.context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-US", timezone_id="UTC", **more)
        self.page = self.context.new_page()
        self.faults, self.asked, self.origin = [], set(), gateway.admin
        self.page.on("console", lambda m: m.type in ("error", "warning") and self.faults.append(m.text))
        self.page.on("pageerror", lambda e: self.faults.append(str(e)))
        self.page.on("request", lambda r: self.asked.add(r.url))
        self.page.goto(gateway.admin + "/dashboard")

    def __enter__(self):
        expect(self.page.locator("#live-text")).to_have_text("live", timeout=20_000)
        return self.page

    def __exit__(self, kind, *_):
        self.context.close()
        if kind is None:
            assert self.faults == []
            assert all(url.startswith((self.origin, "data:")) for url in self.asked), self.asked


def figure(page, name):
    return page.locator("#figures div", has=page.get_by_text(name, exact=True)).locator(".value")


def dollars(text):
    return float(re.sub(r"[$,]", "", text.replace("−", "-")))


def test_what_is_vendored_is_what_was_published():
    """uPlot's files are the package's, byte for byte, with their licence."""
    for ours, theirs in (("uPlot.iife.min.js", "dist/uPlot.iife.min.js"), ("uPlot.min.css", "dist/uPlot.min.css"), ("LICENSE-uPlot", "LICENSE")):
        assert (PAGE / ours).read_bytes() == (MODULES / "uplot" / theirs).read_bytes(), ours


def test_headers(full):
    answer = call(full.admin, "/dashboard")
    policy = answer.headers["content-security-policy"]
    assert answer.status == 200 and "default-src 'none'" in policy and "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert call(full.admin, "/dashboard/nothing.js").status == 404
    assert call(full.admin, "/v1/calls?most=0").status == 400
    assert call(full.admin, "/v1/calls?session=%27%20OR%201").status == 400
    assert call(full.admin, "/v1/dashboard?range=1y").status == 400
    # Nothing of it on the port of callers.
    assert call(full.url, "/dashboard").status != 200


def test_figures_are_the_ledgers(chromium, full):
    made, attempts = full.rows
    since = full.now - 24 * 3_600_000
    day = [row for row in made if row["at"] >= since]
    with Tab(chromium, full) as page:
        expect(figure(page, "Requests")).to_have_text(re.compile(r"\d"))
        # The window moves on while the test runs.
        shown = int(figure(page, "Requests").inner_text().replace(",", ""))
        assert abs(shown - len(day)) <= 3
        assert dollars(figure(page, "Spent").inner_text()) == pytest.approx(sum(r["cost"] for r in day) / 1e12, rel=0.01)
        assert dollars(figure(page, "Baseline").inner_text()) == pytest.approx(sum(r["baseline"] for r in day) / 1e12, rel=0.01)
        page.get_by_label("7 days").check()
        expect(figure(page, "Requests")).to_have_text(f"{len(made):,}", timeout=15_000)
        assert dollars(figure(page, "Spent").inner_text()) == pytest.approx(sum(r["cost"] for r in made) / 1e12, abs=0.006)
        kept, drafts = (sum(r["cascade"] in of for r in made) for of in (("accepted",), ("accepted", "deferred")))
        expect(figure(page, "Drafts kept")).to_have_text(f"{round(100 * kept / drafts)} %")
        net = sum(r["baseline"] - r["cost"] for r in made) / 1e12
        assert dollars(page.locator("#causes tr.total td.num").inner_text()) == pytest.approx(net, abs=0.006)
        # The table below the curve has the same sums.
        spent = [dollars(text) for text in page.locator("#spend-t tbody td:nth-child(3)").all_text_contents()]
        assert sum(spent) == pytest.approx(sum(r["cost"] for r in made) / 1e12, rel=0.01)
        row = page.locator("#providers tbody tr", has_text="anthropic")
        calls = [a for a in attempts if a["provider"] == "anthropic"]
        assert row.locator("td").nth(1).inner_text() == f"{len(calls):,}"
        assert page.locator("canvas").count() == 3


def test_every_endpoint_tells_the_same(full):
    made, _ = full.rows
    for by in ("tier", "model", "provider", "tenant", "client", "session", "day"):
        told = call(full.admin, f"/v1/usage?by={by}&since=8d").json
        assert told["total"]["cost"] == pytest.approx(sum(r["cost"] for r in made) / 1e12, rel=1e-6)
        assert sum(group["cost"] for group in told["groups"]) == pytest.approx(told["total"]["cost"], rel=1e-6)
    seen, before = [], ""
    while True:
        calls = call(full.admin, f"/v1/calls?most=500{before}").json["calls"]
        seen += [row["id"] for row in calls]
        if len(calls) < 500:
            break
        before = f"&before={calls[-1]['id']}"
    assert [row["id"] for row in reversed(made)] == [i for i in seen if i in {row["id"] for row in made}]


def test_a_decision_is_explained_by_keyboard_alone(chromium, full):
    with Tab(chromium, full) as page:
        first = page.locator("#calls button.row").first
        expect(first).to_be_visible()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(first).to_be_focused()
        page.keyboard.press("Enter")
        expect(first).to_have_attribute("aria-expanded", "true")
        story = page.locator("#calls tr.more-of").first
        expect(story).to_contain_text("Graded")
        expect(story).to_contain_text("Took")
        # A refresh keeps what is open, and the focus.
        time.sleep(5)
        expect(first).to_be_focused()
        expect(first).to_have_attribute("aria-expanded", "true")
        session = call(full.admin, "/v1/calls?most=1").json["calls"][0]["session"]
        story.get_by_role("button", name="Show the conversation").press("Enter")
        expect(page.locator("#latest-h")).to_have_text("One conversation")
        own = call(full.admin, f"/v1/calls?most=500&session={session}").json["calls"]
        assert own and all(row["session"] == session for row in own)
        expect(page.locator("#session")).to_contain_text(f"{min(len(own), 200)} requests")
        page.get_by_role("button", name="Back to all requests").click()
        expect(page.locator("#latest-h")).to_have_text("Latest requests")
        shown = page.locator("#calls tr.call").count()
        page.get_by_role("button", name="Show older").click()
        expect(page.locator("#calls tr.call")).to_have_count(2 * shown)


def test_it_is_live_and_markup_is_text(chromium, full, upstream):
    with Tab(chromium, full) as page:
        before = int(figure(page, "Requests").inner_text().replace(",", ""))
        name = "o:<img src=x onerror=document.title='owned'>"
        for model in ("tierway/simple", name):
            body = {"model": model, "messages": [{"role": "user", "content": "live"}]}
            call(full.url, "/v1/chat/completions", body, {"authorization": f"Bearer {KEY}"})
        expect(page.locator("#calls tr.call").first).to_contain_text("<img src=x", timeout=15_000)
        page.wait_for_function(f"Number(document.querySelectorAll('#figures .value')[3].textContent.replace(',', '')) >= {before}", timeout=15_000)
        page.locator("#calls button.row").first.click()
        assert page.title() == "Tierway" and page.locator("main img").count() == 0


def test_themes_and_ranges_are_remembered_or_changed(chromium, full):
    with Tab(chromium, full, scheme="dark") as page:
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        # Nobody had to log in here.
        assert page.get_by_role("button", name="Log out").count() == 0
        page.locator("#theme").click()
        expect(page.locator("#theme")).to_have_text("Theme: light")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
        page.reload()
        expect(page.locator("#theme")).to_have_text("Theme: light")
        for label in ("1 h", "7 days", "30 days"):
            page.get_by_label(label, exact=True).check()
            expect(page.locator("#live-text")).to_have_text("live")
        page.get_by_label("Each step").check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1320, 820, 390])
def test_nobody_is_shut_out(chromium, full, scheme, width):
    """axe-core finds nothing, with decisions open and tables unfolded; nothing is wider than the screen."""
    with Tab(chromium, full, width=width, scheme=scheme) as page:
        for nth in range(3):
            page.locator("#calls button.row").nth(nth).click()
        for summary in page.locator("details summary").all():
            summary.click()
        page.evaluate((MODULES / "axe-core/axe.min.js").read_text())
        found = page.evaluate("axe.run({ resultTypes: ['violations'] })")["violations"]
        assert [(v["id"], v["impact"], v["nodes"][0]["html"]) for v in found] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_nothing_yet_and_nothing_kept(chromium, upstream, tmp_path):
    with serve(upstream, tmp_path) as gateway, Tab(chromium, gateway) as page:
        expect(page.locator("#spend")).to_contain_text("No requests")
        expect(page.locator("#calls")).to_contain_text("Nothing yet")
        expect(page.locator("#notice")).to_be_hidden()
        shot(page, "dashboard-empty")
    with serve(upstream, tmp_path, "[ledger]\nenabled = false\n") as gateway, Tab(chromium, gateway) as page:
        expect(page.locator("#notice")).to_contain_text("The ledger is off")


def test_a_gateway_that_goes_away_is_told(chromium, upstream, tmp_path):
    with serve(upstream, tmp_path) as gateway:
        tab = Tab(chromium, gateway)
        with tab as page:
            gateway.stop()
            expect(page.locator("#live-text")).to_have_text("not connected", timeout=15_000)
            tab.faults.clear()


def shot(page, name):
    if SHOTS:
        page.evaluate("document.activeElement?.blur(); scrollTo(0, 0)")
        page.screenshot(path=f"{SHOTS}/{name}.png")


def test_pictures(chromium, full):
    """For the documentation, where $TIERWAY_SCREENSHOTS names a folder."""
    for name, scheme, width, height in (("dashboard", "light", 1320, 1130), ("dashboard-dark", "dark", 1320, 1130), ("dashboard-phone", "light", 390, 844)):
        with Tab(chromium, full, width, height, scheme) as page:
            expect(page.locator("#calls button.row").first).to_be_visible()
            shot(page, name)
    with Tab(chromium, full, 1320, 760) as page:
        row = page.locator("#calls tr.call", has_text="draft thrown away").first
        row.locator("button.row").click()
        page.locator("#latest").scroll_into_view_if_needed()
        page.evaluate("document.getElementById('latest').scrollIntoView()")
        if SHOTS:
            page.screenshot(path=f"{SHOTS}/dashboard-decision.png")
