"""The real Codex, a whole tool round each time: it must run the command and leave its proof in the folder."""
import codex
import pytest
import told
from harness import FORMATS, KEY, PATHS, UPSTREAM_KEY, Direct, Gateway, configuration, direct
from plan import PROOF, PROOF_FILE

NATIVE = "r"
pytestmark = pytest.mark.timeout(180)
# To a model that it does not know Codex offers functions; to one of its own, one tool that takes JavaScript, in an item of the input.
MODELS = ("gpt-unknown", "gpt-6.1-sol")


@pytest.fixture(scope="module", params=[NATIVE] if direct() else list(FORMATS), ids=FORMATS.get)
def through(request, scripted):
    """A gateway all of whose tiers are one model of this format."""
    if direct():
        yield Direct(scripted.url)
        return
    tiers = dict.fromkeys(("simple", "medium", "complex", "reasoning"), f"{request.param}:agent-x")
    with Gateway(configuration(scripted.url, **tiers, extra="[cascade]\nenabled = false\n")) as gateway:
        gateway.format = request.param
        yield gateway
        assert KEY not in gateway.log and UPSTREAM_KEY not in gateway.log, "a key stands in the log"


def check_proof(ran):
    assert ran.code == 0, ran.told()
    proof = ran.folder / PROOF_FILE
    assert proof.exists() and proof.read_text().strip() == PROOF, ran.told()
    assert ran.messages and PROOF in ran.messages[-1], ran.told()


@pytest.mark.parametrize("model", MODELS, ids=["functions", "free-text"])
def test_a_whole_tool_round(through, scripted, tmp_path, model):
    ran = codex.run(tmp_path, through.url, through.key, model)
    check_proof(ran)
    assert ran.usage["input_tokens"] > 0 and ran.usage["output_tokens"] > 0, ran.told()
    if not direct():
        turns = scripted.received(PATHS[through.format])
        assert len(turns) == 2 and {told.model(through.format, t) for t in turns} == {"agent-x"}
        assert all(KEY not in value for t in turns for value in t.headers.values())


@pytest.mark.parametrize("model", MODELS, ids=["functions", "free-text"])
def test_what_it_thought_comes_back(through, scripted, tmp_path, model):
    scripted.behaviour["agent-x" if not direct() else model] = "think"
    check_proof(codex.run(tmp_path, through.url, through.key, model))
    if not direct() and through.format == "a":
        said = [b for t in scripted.received("/v1/messages")[-1:] for m in t.body["messages"] if isinstance(m["content"], list) for b in m["content"]]
        assert [b["signature"] for b in said if b["type"] == "thinking"] == ["c2NyaXB0ZWQ="]


@pytest.mark.parametrize("fault", ["midfail", "cutoff"])
def test_reports_streams_that_break(through, scripted, tmp_path, fault):
    scripted.behaviour["agent-x" if not direct() else "gpt-unknown"] = fault
    ran = codex.run(tmp_path, through.url, through.key, "gpt-unknown")
    assert ran.code != 0 and not (ran.folder / PROOF_FILE).exists(), ran.told()
    assert any(e.get("type") == "turn.failed" for e in ran.events), ran.told()


def test_a_wrong_key_is_reported(through, tmp_path):
    ran = codex.run(tmp_path, through.url, "sk-wrong-0000000000", "gpt-unknown", retries=0)
    assert ran.code != 0 and "401" in ran.output, ran.told()
