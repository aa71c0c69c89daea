"""Two real models behind one gateway."""
import pytest
from harness import KEY, Gateway
from models import BIG, HERE, SMALL, configuration, llama


@pytest.fixture(scope="session")
def small():
    with llama(SMALL, 8192, 2) as server:
        yield server


@pytest.fixture(scope="session")
def big():
    with llama(BIG, 16384, 1, "--template", HERE / "qwen-json-tools.jinja", "--key", "sk-llama-0003") as server:
        yield server


@pytest.fixture(scope="session")
def gateway(small, big):
    """Drafts on the medium tier; the cache is off, so that every answer is a model's."""
    extra = '[cascade]\nenabled = true\ntiers = ["medium", "complex"]\n[cache]\nenabled = false\n'
    with Gateway(configuration(small, big, extra)) as gateway:
        yield gateway
        assert KEY not in gateway.log and "sk-llama-0003" not in gateway.log, "a key stands in the log"
