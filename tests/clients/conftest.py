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


@pytest.fixture(params=list(FORMATS), ids=FORMATS.get)
def provider(request):
    """The format that the upstream speaks."""
    if direct() and request.param != request.module.NATIVE:
        pytest.skip("directly, only the caller's own format is there")
    return request.param
