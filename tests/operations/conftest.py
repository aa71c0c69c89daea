"""One scripted upstream for all tests of the process at work."""
import pytest
from harness import UPSTREAM_KEY
from upstream import Upstream


@pytest.fixture(scope="session")
def scripted():
    with Upstream(key=UPSTREAM_KEY, hang=20.0) as upstream:
        yield upstream


@pytest.fixture(autouse=True)
def fresh(scripted):
    scripted.clear()
    scripted.behaviour.clear()
