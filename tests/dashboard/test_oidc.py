"""Signing in with an identity provider, in a real Chromium: an OpenID Connect provider from PyPI, our page, and a terminal that waits."""
import sys

import pytest
from harness import UPSTREAM_KEY, Gateway, Process, call, clean_environment, configuration, free_port
from playwright.sync_api import expect
from test_access import accessible, form, page  # noqa: F401 (a fixture)
from test_dashboard import chromium  # noqa: F401 (a fixture)
from upstream import Upstream

SECRET = "a-client-secret-of-tests"
BODY = {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def provider():
    port = free_port()
    users = ['{"sub": "ann", "email": "ann@example.com", "team": "web"}', '{"sub": "bob", "email": "bob@example.com", "team": "ops"}']
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true"]
    with Process([*command, *(part for user in users for part in ("--user-claims", user))], clean_environment()) as process:
        process.wait_port(port, 30)
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def gateway(provider, tmp_path_factory):
    more = f"""
[access]
file = "{tmp_path_factory.mktemp("oidc")}/access.db"
[cache]
enabled = false
[sign_in]
enabled = true
[oidc.corp]
issuer = "{provider}"
client_id = "tierway"
client_secret_env = "OIDC_SECRET"
tenant_claim = "team"
"""
    with Upstream(key=UPSTREAM_KEY) as upstream, Gateway(configuration(upstream.url, extra=more), OIDC_SECRET=SECRET) as gateway:
        yield gateway
        assert SECRET not in gateway.log and "tw-pass-" not in gateway.log and "panicked" not in gateway.log


def begin(gateway):
    status, begun = form(gateway.url + "/oauth/device_authorization", surface="cli")
    assert status == 200
    return begun, {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": begun["device_code"]}


def test_the_provider_tells_who_it_is_and_the_click_is_ours(gateway, page):  # noqa: F811
    begun, poll = begin(gateway)
    page.goto(begun["verification_uri_complete"])
    accessible(page)
    page.get_by_role("link", name="Continue with corp").click()
    page.get_by_role("button", name="ann", exact=True).click()
    # Back on our page, and nothing is decided yet.
    expect(page.get_by_text("ann@example.com")).to_be_visible()
    assert page.url.startswith(gateway.url)
    accessible(page)
    assert form(gateway.url + "/oauth/token", **poll) == (400, {"error": "authorization_pending"})
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", name="Signed in")).to_be_visible()
    status, told = form(gateway.url + "/oauth/token", **poll)
    assert status == 200 and told["email"] == "ann@example.com"
    bearer = {"authorization": f"Bearer {told['access_token']}"}
    assert call(gateway.url, "/v1/chat/completions", BODY, bearer).status == 200
    assert gateway.logged(1)[-1]["tenant"] == "web"


def test_who_is_refused_there_is_not_signed_in_here(gateway, page):  # noqa: F811
    begun, poll = begin(gateway)
    page.goto(begun["verification_uri_complete"])
    page.get_by_role("link", name="Continue with corp").click()
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("alert")).to_be_visible()
    accessible(page)
    assert form(gateway.url + "/oauth/token", **poll) == (400, {"error": "authorization_pending"})


def test_what_another_browser_brought_back_is_refused(gateway, chromium, page):  # noqa: F811
    begun, poll = begin(gateway)
    page.goto(begun["verification_uri_complete"])
    page.get_by_role("link", name="Continue with corp").click()
    there = page.url
    other = chromium.new_context(locale="en-US")
    tab = other.new_page()
    tab.goto(there)
    tab.get_by_role("button", name="bob", exact=True).click()
    expect(tab.get_by_role("alert")).to_be_visible()
    other.close()
    assert form(gateway.url + "/oauth/token", **poll) == (400, {"error": "authorization_pending"})
