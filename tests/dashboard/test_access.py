"""Who may look and who may call, in a real Chromium: the login of the admin port, and the page on which a sign-in is approved."""
import http.client
import json
import shutil
import ssl
import subprocess
import time
import urllib.parse
import urllib.request

import pytest
from harness import KEY, UPSTREAM_KEY, Gateway, binary, call, configuration
from playwright.sync_api import expect
from test_dashboard import MODULES, chromium  # noqa: F401 (a fixture)
from upstream import Upstream

TOKEN = "an-admin-credential-of-tests"
PASSWORD = "correct horse battery"


def hashed():
    return subprocess.run([binary(), "keys", "password"], input=PASSWORD, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("access")
    more = f"""
[admin]
token = "{TOKEN}"
[access]
file = "{folder}/access.db"
[ledger]
file = "{folder}/ledger.db"
[cache]
enabled = false
[sign_in]
enabled = true
[sign_in.users.ann]
password_hash = '{hashed()}'
tenant = "staff"
"""
    with Upstream(key=UPSTREAM_KEY) as upstream, Gateway(configuration(upstream.url, extra=more)) as gateway:
        yield gateway
        for secret in (TOKEN, PASSWORD, KEY, "tw-pass-", "sk-tw-"):
            assert secret not in gateway.log, "a secret stands in the log"
        assert "panicked" not in gateway.log


@pytest.fixture
def page(chromium):  # noqa: F811
    context = chromium.new_context(locale="en-US")
    page = context.new_page()
    page.faults = []
    page.on("console", lambda m: m.type in ("error", "warning") and page.faults.append(m.text))
    page.on("pageerror", lambda e: page.faults.append(str(e)))
    yield page
    context.close()


def accessible(page):
    page.evaluate((MODULES / "axe-core/axe.min.js").read_text())
    broken = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice']})")["violations"]
    assert [(v["id"], [n["target"] for n in v["nodes"]]) for v in broken] == []


def form(url, **fields):
    data = urllib.parse.urlencode(fields).encode()
    request = urllib.request.Request(url, data=data)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as no:
        return no.code, json.load(no)


def test_operators_log_in_once(gateway, page):
    for path in ("/metrics", "/v1/dashboard", "/v1/keys"):
        assert call(gateway.admin, path).status == 401
    assert call(gateway.admin, "/healthz").status == 200
    page.goto(gateway.admin + "/dashboard")
    assert page.url == gateway.admin + "/login"
    accessible(page)
    page.get_by_label("Admin credential").fill("a-wrong-credential-here")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("That is not the credential.")
    page.get_by_label("Admin credential").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#live-text")).to_have_text("live", timeout=20_000)
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict" and TOKEN not in cookie["value"]
    # What a page of another origin sends does not arrive: neither its cookie nor its wish.
    page.goto(gateway.url + "/device")
    told = page.evaluate(
        """url => fetch(url, {method: "POST", mode: "no-cors", credentials: "include", body: '{"tenant": "x"}'}).then(r => r.type, e => "refused")""", gateway.admin + "/v1/keys"
    )
    assert told in ("opaque", "refused")
    keys = call(gateway.admin, "/v1/keys", headers={"authorization": f"Bearer {TOKEN}"}).json["keys"]
    assert keys == []
    # The click that logs out.
    page.goto(gateway.admin + "/dashboard")
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(gateway.admin + "/login")
    assert page.context.cookies() == []
    page.goto(gateway.admin + "/dashboard")
    assert page.url == gateway.admin + "/login"


def test_a_user_approves_what_a_terminal_shows(gateway, page):
    metadata = call(gateway.url, "/.well-known/oauth-authorization-server").json
    status, begun = form(metadata["device_authorization_endpoint"], surface="cli")
    assert status == 200
    poll = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": begun["device_code"]}
    page.goto(begun["verification_uri_complete"])
    expect(page.get_by_text(begun["user_code"])).to_be_visible()
    accessible(page)
    # To open it decides nothing.
    assert form(metadata["token_endpoint"], **poll) == (400, {"error": "authorization_pending"})
    page.get_by_label("User name").fill("ann")
    page.get_by_label("Password").fill("wrong horse")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("alert")).to_have_text("That is not right. Try again.")
    page.get_by_label("User name").fill("ann")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", name="Signed in")).to_be_visible()
    accessible(page)
    status, told = form(metadata["token_endpoint"], **poll)
    assert status == 200 and told["email"] == "ann"
    bearer = {"authorization": f"Bearer {told['access_token']}"}
    body = {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    assert call(gateway.url, "/v1/chat/completions", body, bearer).status == 200
    assert form(metadata["token_endpoint"], **poll) == (400, {"error": "expired_token"})


def test_the_code_can_be_typed_by_hand_and_denied(gateway, page):
    _, begun = form(gateway.url + "/oauth/device_authorization")
    page.goto(begun["verification_uri"])
    accessible(page)
    page.get_by_label("Code that your terminal shows").fill("bcdf ghjk")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("No sign-in waits with this code.")
    page.get_by_label("Code that your terminal shows").fill(begun["user_code"].lower().replace("-", ""))
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("heading", name="Denied")).to_be_visible()
    poll = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": begun["device_code"]}
    assert form(gateway.url + "/oauth/token", **poll) == (400, {"error": "access_denied"})


def test_keys_by_the_command_line(gateway):
    def keys(*arguments):
        command = [binary(), "keys", *arguments, "--config", gateway.config]
        return subprocess.run(command, capture_output=True, text=True, timeout=30)

    made = keys("create", "--tenant", "web", "--name", "ci", "--requests-per-minute", "2", "--tag", "team:a")
    key = made.stdout.strip()
    assert made.returncode == 0 and key.startswith("sk-tw-") and "only time" in made.stderr
    body = {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}

    def status(key):
        return call(gateway.url, "/v1/chat/completions", body, {"authorization": f"Bearer {key}"}).status

    def within(seconds, key, wanted):
        end = time.monotonic() + seconds
        while (told := status(key)) != wanted:
            assert time.monotonic() < end, told
            time.sleep(0.05)

    within(3, key, 200)
    assert [status(key), status(key)] == [200, 429]
    listed = keys("list").stdout
    name = key.split("-")[2]
    assert name in listed and "web" in listed and key not in listed
    other = keys("rotate", name).stdout.strip()
    within(3, key, 401)
    assert keys("revoke", name).returncode == 0
    within(3, other, 401)
    shown = json.loads(keys("show", name).stdout)
    assert shown["revoked"] and shown["tags"] == ["team:a"] and "digest" not in str(shown)
    assert keys("revoke", "nothing").returncode == 2
    assert keys("create", "--tenant", "web", "--tier", "huge").returncode == 2


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")
def test_the_admin_port_in_tls(chromium, tmp_path):  # noqa: F811
    new = f"req -x509 -newkey rsa:2048 -nodes -keyout {tmp_path}/key.pem -out {tmp_path}/cert.pem -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run(["openssl", *new.split()], check=True, capture_output=True, timeout=60)
    more = f"""
[server.tls]
cert_file = "{tmp_path}/cert.pem"
key_file = "{tmp_path}/key.pem"
[admin]
token = "{TOKEN}"
tls = true
"""
    with Upstream(key=UPSTREAM_KEY) as upstream, Gateway(configuration(upstream.url, extra=more)) as gateway:
        admin = gateway.admin.replace("http://127.0.0.1", "https://localhost")
        trusting = urllib.request.build_opener(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=f"{tmp_path}/cert.pem")))
        metrics = urllib.request.Request(admin + "/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        assert b"tierway_" in trusting.open(metrics, timeout=20).read()
        with pytest.raises((OSError, http.client.HTTPException)):
            call(gateway.admin, "/healthz")
        context = chromium.new_context(locale="en-US", ignore_https_errors=True)
        page = context.new_page()
        page.goto(admin + "/dashboard")
        page.get_by_label("Admin credential").fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#live-text")).to_have_text("live", timeout=20_000)
        (cookie,) = context.cookies()
        assert cookie["secure"] and cookie["httpOnly"]
        page.get_by_role("button", name="Log out").click()
        expect(page).to_have_url(admin + "/login")
        context.close()
