"""Bedrock, as Amazon's own library judges it: every signature is computed again by botocore, every body of Converse is held to the service's model."""
import http.server
import json
import threading
import urllib.parse

import botocore.auth
import botocore.exceptions
import botocore.session
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from converse_wire import faults
from harness import Gateway, call, direct
from upstream import Upstream

NATIVE = None
pytestmark = pytest.mark.skipif(direct(), reason="the gateway's own")
ID, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "c2Vzc2lvbi8rPT0="
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
SCHEMA = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
PNG = "iVBORw0KGgo="


def signature(handler, body):
    """The `Authorization` that botocore would have sent at the same second, over the headers that are named as signed."""
    told = handler.headers["authorization"]
    names = told.split("SignedHeaders=")[1].split(",")[0].split(";")
    url = f"http://{handler.headers['host']}{handler.path}"
    request = AWSRequest("POST", url, headers={n: handler.headers[n] for n in names if n not in ("host", "x-amz-date", "x-amz-security-token")}, data=body)
    signer = botocore.auth.SigV4Auth(Credentials(ID, SECRET, TOKEN), told.split("/")[3], told.split("/")[2])
    request.context["timestamp"] = handler.headers["x-amz-date"]
    signer._modify_request_before_signing(request)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return signer.signature(text, request)


class Amazon(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        told = self.headers["authorization"].rsplit("Signature=", 1)[-1]
        Amazon.seen.append({"path": self.path, "body": json.loads(body), "right": told == signature(self, body), "sealed": told != signature(self, body + b" ")})
        if self.path.endswith("/invoke"):
            answer = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "content": [{"type": "text", "text": "Hello."}], "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 1}}
        else:
            answer = {"output": {"message": {"role": "assistant", "content": [{"text": "Hello."}]}}, "stopReason": "end_turn", "usage": {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4}, "metrics": {"latencyMs": 1}}
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def bedrock():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Amazon)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    toml = f'[providers.bedrock]\nbase_url = "http://127.0.0.1:{server.server_port}"\nregion = "eu-west-1"\n[cache]\nenabled = false\n'
    secrets = {"AWS_ACCESS_KEY_ID": ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}
    with Gateway(toml, **secrets) as gateway:
        yield gateway
        assert SECRET not in gateway.log and TOKEN not in gateway.log, "a secret stands in the log"
    server.shutdown()


def ask(gateway, path, model, **more):
    Amazon.seen.clear()
    body = {"model": f"bedrock:{model}", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}], **more}
    answer = call(gateway.url, path, body, {"anthropic-version": "2023-06-01"})
    assert answer.status == 200, answer.text
    (seen,) = Amazon.seen
    assert seen["right"], "another signature than botocore's"
    assert seen["sealed"], "the signature does not cover the body"
    return seen


@pytest.mark.parametrize("model", ["amazon.nova-lite-v1:0", "text-x", "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/a1b2"])
def test_converse_is_signed_and_valid(bedrock, model):
    tool = {"name": "bash", "description": "run", "input_schema": SCHEMA, "cache_control": {"type": "ephemeral"}}
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    document = {"type": "document", "title": "a/b.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}}, image, document]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"command": "ls"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "é"}, image], "is_error": True}]},
    ]
    seen = ask(bedrock, "/v1/messages", model, system="Be terse.", messages=messages, tools=[tool], tool_choice={"type": "tool", "name": "bash"}, temperature=0.5, top_k=3, stop_sequences=["END"])
    assert urllib.parse.unquote(seen["path"]) == f"/model/{model}/converse"
    assert seen["path"].count("/") == 3, "the model is one segment"
    assert not faults(seen["body"])
    function = {"type": "function", "function": {"name": "bash", "parameters": SCHEMA}}
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
    seen = ask(bedrock, "/v1/chat/completions", model, tools=[function], tool_choice="required", response_format=schema, temperature=1.7, top_p=0.9)
    assert not faults(seen["body"])


def test_claude_is_signed_and_gets_its_own_dialect(bedrock):
    seen = ask(bedrock, "/v1/messages?beta=true", CLAUDE, stream=False)
    assert seen["path"] == f"/model/{urllib.parse.quote(CLAUDE, safe='')}/invoke"
    assert seen["body"] == {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]}


def test_the_check_can_tell():
    assert faults({"messages": [{"role": "user", "content": [{"text": 1}]}]})
    assert faults({"messages": [{"role": "user"}]})
    assert not faults({"messages": [{"role": "user", "content": [{"text": "a"}]}]})


class Keeper(http.server.BaseHTTPRequestHandler):
    """Gives credentials away as a container's agent (`/container`) and as a machine's own service do."""

    protocol_version = "HTTP/1.1"

    def answer(self, text):
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.send_header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
        self.end_headers()
        self.wfile.write(text.encode())

    def do_PUT(self):
        self.answer("metadata-token")

    def do_GET(self):
        told = {"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": ID, "SecretAccessKey": SECRET, "Token": TOKEN, "Expiration": "2099-01-01T00:00:00Z", "LastUpdated": "2026-01-01T00:00:00Z"}
        lists = self.path.rstrip("/").endswith("security-credentials") or self.path.rstrip("/").endswith("security-credentials-extended")
        self.answer("role" if lists else json.dumps(told))

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def servers():
    both = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) for handler in (Amazon, Keeper)]
    for server in both:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield [f"http://127.0.0.1:{server.server_port}" for server in both]
    for server in both:
        server.shutdown()


@pytest.mark.parametrize("source", ["profile", "process", "container", "machine", "nowhere"])
def test_credentials_are_found_where_amazons_tools_find_them(servers, tmp_path, source):
    amazon, keeper = servers
    files = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"), "AWS_EC2_METADATA_DISABLED": "true"}
    static = f"aws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\naws_session_token = {TOKEN}\n"
    told = json.dumps({"Version": 1, "AccessKeyId": ID, "SecretAccessKey": SECRET, "SessionToken": TOKEN})
    (tmp_path / "told.json").write_text(told)
    (tmp_path / "config").write_text(f"[profile told]\ncredential_process = cat {tmp_path}/told.json\n")
    (tmp_path / "credentials").write_text(f"[mine]\n{static}" if source == "profile" else "")
    more = {
        "profile": {"AWS_PROFILE": "mine"},
        "process": {"AWS_PROFILE": "told"},
        "container": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{keeper}/container"},
        "machine": {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": keeper},
        "nowhere": {},
    }[source]
    toml = f'[providers.bedrock]\nbase_url = "{amazon}"\n[cache]\nenabled = false\n'
    with Gateway(toml, **{**files, **more}) as gateway:
        if source != "nowhere":
            ask(gateway, "/v1/messages", "amazon.nova-lite-v1:0")
            return
        body = {"model": "bedrock:m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
        answer = call(gateway.url, "/v1/messages", body, {"anthropic-version": "2023-06-01"})
        assert answer.status == 500 and "no AWS credentials" in answer.text


def test_amazons_own_client_reads_the_scripted_service():
    """So that what the gateway is tried on elsewhere is what it finds at Amazon's."""
    with Upstream() as upstream:
        session = botocore.session.get_session()
        session.set_credentials(ID, SECRET)
        client = session.create_client("bedrock-runtime", region_name="eu-west-1", endpoint_url=upstream.url)
        ask = {"modelId": "think-tool-x", "messages": [{"role": "user", "content": [{"text": "hi"}]}]}
        tools = {"tools": [{"toolSpec": {"name": "bash", "inputSchema": {"json": SCHEMA}}}]}
        whole = client.converse(**ask, toolConfig=tools)
        assert [list(block)[0] for block in whole["output"]["message"]["content"]] == ["reasoningContent", "text", "toolUse"]
        told = [(name, event) for frame in client.converse_stream(**ask, toolConfig=tools)["stream"] for name, event in frame.items()]
        assert [name for name, _ in told if name != "contentBlockDelta"] == ["messageStart", "contentBlockStop", "contentBlockStop", "contentBlockStart", "contentBlockStop", "messageStop", "metadata"]
        arguments = "".join(event["delta"]["toolUse"]["input"] for name, event in told if name == "contentBlockDelta" and "toolUse" in event["delta"])
        assert json.loads(arguments) == whole["output"]["message"]["content"][-1]["toolUse"]["input"]
        body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]})
        chunks = client.invoke_model_with_response_stream(modelId=CLAUDE, body=body)["body"]
        assert [json.loads(chunk["chunk"]["bytes"])["type"] for chunk in chunks][-1] == "message_stop"
        with pytest.raises(client.exceptions.ThrottlingException):
            client.converse(**{**ask, "modelId": "e429-x"})
        with pytest.raises(botocore.exceptions.EventStreamError):
            list(client.converse_stream(**{**ask, "modelId": "midfail-x"})["stream"])
