"""Fixtures: one scripted upstream for the session, and a gateway in front of it that knows it in every format."""
import pytest
from harness import FORMATS, KEY, UPSTREAM_KEY, Direct, Gateway, configuration, direct
from upstream import Upstream


@pytest.fixture(scope="session")
def scripted():
    with Upstream(key=UPSTREAM_KEY, hang=20.0) as upstream:
        yield upstream


@pytest.fixture(scope="session")
def gateway(scripted):
    if direct():
        yield Direct(scripted.url)
        return
    with Gateway(configuration(scripted.url, extra="[cache]\nenabled = false\n[cascade]\nenabled = false\n")) as gateway:
        yield gateway
        assert KEY not in gateway.log and UPSTREAM_KEY not in gateway.log, "a key stands in the log"
        assert "panicked" not in gateway.log, gateway.log[-3000:]


@pytest.fixture(autouse=True)
def fresh(scripted):
    scripted.clear()
    scripted.behaviour.clear()


def pytest_generate_tests(metafunc):
    """`provider`: the format that the upstream speaks; each of them, unless the test names some itself. Directly, only the caller's own is there."""
    marked = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "provider" in metafunc.fixturenames and not any("provider" in names for names in marked):
        metafunc.parametrize("provider", [metafunc.module.NATIVE] if direct() else list(FORMATS), ids=FORMATS.get)
