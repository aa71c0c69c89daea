"""The real Claude Code, a whole tool round each time: it must run the command and leave its proof in the folder."""
import claude
import pytest
import told
from harness import FORMATS, KEY, PATHS, UPSTREAM_KEY, Direct, Gateway, configuration, direct
from plan import PROOF, PROOF_FILE

NATIVE = "a"
pytestmark = pytest.mark.timeout(180)
# Besides the formats of all clients, Claude at Amazon: Anthropic's format in Amazon's envelopes.
UPSTREAMS = {**FORMATS, "i": "invoke-format"}
MODELS = {provider: "b:anthropic.claude-agent-x" if provider == "i" else f"{provider}:agent-x" for provider in UPSTREAMS}
REACHED = {**PATHS, "i": ("/invoke", "/invoke-with-response-stream")}


@pytest.fixture(scope="module", params=[NATIVE] if direct() else list(UPSTREAMS), ids=UPSTREAMS.get)
def through(request, scripted):
    """A gateway all of whose tiers are one model of this format; what the client calls Claude goes there."""
    if direct():
        yield Direct(scripted.url)
        return
    tiers = dict.fromkeys(("simple", "medium", "complex", "reasoning"), MODELS[request.param])
    with Gateway(configuration(scripted.url, **tiers, extra="[cascade]\nenabled = false\n")) as gateway:
        gateway.format, gateway.agent = request.param, MODELS[request.param].split(":")[1]
        yield gateway
        assert KEY not in gateway.log and UPSTREAM_KEY not in gateway.log, "a key stands in the log"


def check_proof(ran):
    assert ran.code == 0, ran.told()
    proof = ran.folder / PROOF_FILE
    assert proof.exists() and proof.read_text().strip() == PROOF, ran.told()
    assert ran.result.get("is_error") is False and PROOF in ran.result["result"], ran.told()


@pytest.mark.parametrize("token", [False, True], ids=["x-api-key", "bearer"])
def test_a_whole_tool_round(through, scripted, tmp_path, token):
    ran = claude.run(tmp_path, through.url, through.key, token=token)
    check_proof(ran)
    assert ran.result["usage"]["input_tokens"] > 0 and ran.result["usage"]["output_tokens"] > 0
    if not direct():
        turns = scripted.received(REACHED[through.format])
        assert len(turns) >= 2 and {told.model("b" if through.format == "i" else through.format, t) for t in turns} == {through.agent}
        assert all(KEY not in value for t in turns for value in t.headers.values())


@pytest.mark.parametrize("fault", ["midfail", "cutoff"])
def test_recovers_when_streams_break(through, scripted, tmp_path, fault):
    """Every stream breaks in the middle; the client repeats each turn whole, and the round still ends."""
    if direct():
        scripted.behaviour.update({m: fault for m in ("claude-opus-5-5", "claude-sonnet-5", "claude-sonnet-5-5")})
    else:
        scripted.behaviour[through.agent] = fault
    check_proof(claude.run(tmp_path, through.url, through.key, seconds=150))


def test_an_overloaded_upstream_is_reported(through, scripted, tmp_path):
    if direct():
        pytest.skip("the model's name is the gateway's")
    if through.format in "bi":
        pytest.skip("Amazon has no such status")
    scripted.behaviour[through.agent] = "e529"
    ran = claude.run(tmp_path, through.url, through.key, CLAUDE_CODE_MAX_RETRIES="1")
    assert ran.code != 0 or ran.result.get("is_error"), ran.told()
    assert "529" in ran.output or "verloaded" in ran.output, ran.told()


def test_two_tools_at_once(through, scripted, tmp_path):
    if direct():
        pytest.skip("the model's name is the gateway's")
    scripted.behaviour[through.agent] = "parallel"
    check_proof(claude.run(tmp_path, through.url, through.key))


def thinking_sent(scripted):
    """The thinking blocks of the newest request, if it is in Anthropic's format."""
    turns = scripted.requests[-1].body.get("messages", [])
    return [b for t in turns if t["role"] == "assistant" and isinstance(t["content"], list) for b in t["content"] if b.get("type") == "thinking"]


def test_a_resumed_session_keeps_its_thinking(through, scripted, tmp_path):
    """`claude -p`, then `claude -p --continue`: the thinking of the first comes back, signed as it was."""
    if direct():
        pytest.skip("the model's name is the gateway's")
    scripted.behaviour[through.agent] = "think"
    check_proof(claude.run(tmp_path, through.url, through.key))
    before = len(scripted.requests)
    again = claude.run(tmp_path, through.url, through.key, prompt="Say it once more.", arguments=["--continue"])
    assert again.code == 0 and again.result.get("is_error") is False, again.told()
    resumed = scripted.requests[before:]
    assert any(PROOF in r.raw.decode() for r in resumed), "the second run knows nothing of the first"
    if through.format in "ai":
        blocks = thinking_sent(scripted)
        assert blocks and all(b["signature"] == "c2NyaXB0ZWQ=" and b["thinking"] == "Let me think about it." for b in blocks), blocks
    else:
        assert not thinking_sent(scripted)


def test_a_wrong_key_is_reported(through, tmp_path):
    ran = claude.run(tmp_path, through.url, "sk-wrong-0000000000", CLAUDE_CODE_MAX_RETRIES="0")
    assert ran.code != 0 or ran.result.get("is_error"), ran.told()


def test_the_context_command_counts_tokens(through, scripted, tmp_path):
    ran = claude.run(tmp_path, through.url, through.key, prompt="/context")
    assert ran.code == 0, ran.told()
    if not direct() and through.format == "a":
        assert scripted.received("/count_tokens"), "no count reached the upstream that has one"
