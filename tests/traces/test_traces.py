"""What an OpenTelemetry collector is sent, decoded with OpenTelemetry's own protobuf package."""
import http.server
import threading
import time

import pytest
from harness import KEY, UPSTREAM_KEY, Gateway, call, configuration
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from upstream import Upstream

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
SECRET = "a prompt that nobody else may read"


class Collector:
    """An OTLP/HTTP receiver: keeps resources, headers and spans."""

    def __init__(self, status=200):
        self.requests, self.spans, self.resources, self.raw = [], [], [], b""
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                collector.raw += body
                for of in ExportTraceServiceRequest.FromString(body).resource_spans:
                    collector.resources.append(attributes(of.resource))
                    collector.spans += [span for scope in of.scope_spans for span in scope.spans]
                self.send_response(status)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def roots(self):
        return [span for span in self.spans if span.kind == span.SPAN_KIND_SERVER]

    def below(self, root):
        return [span for span in self.spans if span.parent_span_id == root.span_id]


def attributes(of):
    def plain(value):
        kind = value.WhichOneof("value")
        return getattr(value, kind) if kind else None

    return {pair.key: plain(pair.value) for pair in of.attributes}


def ask(gateway, model, text=SECRET, headers=None, path="/v1/chat/completions", **more):
    body = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": text}], **more}
    return call(gateway.url, path, body, {"x-api-key": KEY, "authorization": f"Bearer {KEY}", "anthropic-version": "2023-06-01", **(headers or {})})


@pytest.fixture
def upstream():
    with Upstream(key=UPSTREAM_KEY) as upstream:
        yield upstream


CASCADE = '[cascade]\nenabled = true\nstay_big = 0\ntiers = ["medium", "complex", "reasoning"]\n'


def toml(upstream, extra):
    return configuration(upstream.url, "o:gpt-4o-mini", "o:gpt-4o", "a:claude-sonnet-4-5", "a:claude-opus-4-5", extra=CASCADE + extra)


def test_one_span_a_call_and_one_an_attempt(upstream):
    with Collector() as collector:
        with Gateway(toml(upstream, f'[traces]\notlp = "{collector.url}"\n')) as gateway:
            theirs = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=1"}
            assert ask(gateway, "tierway/simple", headers=theirs).status == 200
            # A draft that is refused, and the big model after it.
            upstream.behaviour["gpt-4o-mini"] = "refuse"
            assert ask(gateway, "tierway/medium").status == 200
            assert ask(gateway, "tierway/complex", stream=True, path="/v1/messages").status == 200
            assert ask(gateway, "o:e500-x").status >= 500
            sent = [r.headers for r in upstream.requests if "traceparent" in r.headers]
            # Stopping sends what is left.
            assert gateway.stop() == 0
            log = gateway.log
        assert {path for path, _ in collector.requests} == {"/v1/traces"}
        assert all(h["content-type"] == "application/x-protobuf" for _, h in collector.requests)
        assert collector.resources[0]["service.name"] == "tierway" and collector.resources[0]["service.version"]
        roots = sorted(collector.roots(), key=lambda span: span.start_time_unix_nano)
        assert len(roots) == 4, log
        simple, medium, stream, broken = roots

        assert simple.trace_id.hex() == TRACE and simple.parent_span_id.hex() == SPAN
        assert simple.name == "chat tierway/simple"
        said = attributes(simple)
        assert said["gen_ai.operation.name"] == "chat" and said["gen_ai.request.model"] == "tierway/simple"
        assert said["gen_ai.response.model"] == "gpt-4o-mini" and said["tierway.provider"] == "o"
        assert said["tierway.tier"] == "simple" and said["tierway.tenant"] == "alice" and said["tierway.outcome"] == "ok"
        assert said["tierway.cost.usd"] > 0 and said["http.response.status_code"] == 200
        (attempt,) = collector.below(simple)
        assert attempt.kind == attempt.SPAN_KIND_CLIENT and attempt.trace_id.hex() == TRACE
        said = attributes(attempt)
        assert said["gen_ai.usage.input_tokens"] > 0 and said["gen_ai.usage.output_tokens"] > 0 and said["tierway.role"] == "only"
        assert simple.start_time_unix_nano <= attempt.start_time_unix_nano <= attempt.end_time_unix_nano <= simple.end_time_unix_nano + 5_000_000

        roles = sorted(attributes(span)["tierway.role"] for span in collector.below(medium))
        assert roles == ["big", "small"] and not medium.parent_span_id
        assert attributes(medium)["tierway.cascade"] == "deferred"

        said = attributes(stream)
        assert said["gen_ai.request.stream"] is True and said["gen_ai.response.time_to_first_chunk"] > 0
        assert said["gen_ai.provider.name"] == "anthropic-compatible" and said["tierway.provider"] == "a"

        assert broken.status.code == broken.status.STATUS_CODE_ERROR and attributes(broken)["error.type"] == "upstream_error"
        assert attributes(collector.below(broken)[0])["error.type"] == "500"

        # Each provider is told the span of its own attempt; what the caller's systems told each other goes with the caller's trace alone.
        told = {span.span_id.hex(): span.trace_id.hex() for span in collector.spans}
        for headers in sent:
            _, trace, span, flags = headers["traceparent"].split("-")
            assert told[span] == trace and flags == "01"
            assert (headers.get("tracestate") == "vendor=1") == (trace == TRACE)
        assert SECRET.encode() not in collector.raw and KEY.encode() not in collector.raw and UPSTREAM_KEY.encode() not in collector.raw


def test_the_caller_decides_what_is_recorded(upstream):
    with Collector() as collector:
        with Gateway(toml(upstream, f'[traces]\notlp = "{collector.url}/v1/traces"\nshare = 0\n')) as gateway:
            assert ask(gateway, "tierway/simple", headers={"traceparent": f"00-{TRACE}-{SPAN}-00"}).status == 200
            assert ask(gateway, "tierway/simple").status == 200
            assert ask(gateway, "tierway/simple", headers={"traceparent": f"00-{TRACE}-{SPAN}-01"}).status == 200
            sent = [r.headers["traceparent"] for r in upstream.requests]
            gateway.stop()
        (root,) = collector.roots()
        assert root.trace_id.hex() == TRACE
        assert [value[-2:] for value in sent] == ["00", "00", "01"]
        assert TRACE in sent[0] and SPAN not in sent[0]


def test_the_environment_turns_it_on_and_a_dead_collector_holds_nobody_up(upstream):
    with Collector() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SERVICE_NAME": "gateway-7", "OTEL_EXPORTER_OTLP_HEADERS": "x-team=blue"}
        with Gateway(toml(upstream, ""), **variables) as gateway:
            assert ask(gateway, "tierway/simple").status == 200
            gateway.stop()
        assert collector.resources[0]["service.name"] == "gateway-7"
        assert collector.requests[0][1]["x-team"] == "blue"
        url = collector.url
    with Gateway(toml(upstream, f'[traces]\notlp = "{url}"\n'), OTEL_BSP_SCHEDULE_DELAY="50") as gateway:
        for _ in range(20):
            began = time.monotonic()
            assert ask(gateway, "tierway/simple").status == 200
            assert time.monotonic() - began < 2
        assert gateway.stop(20) == 0


def test_without_a_collector_the_callers_trace_passes_as_it_is(upstream):
    with Gateway(toml(upstream, "")) as gateway:
        theirs = f"00-{TRACE}-{SPAN}-01"
        assert ask(gateway, "tierway/simple", headers={"traceparent": theirs, "tracestate": "vendor=1"}).status == 200
        assert ask(gateway, "tierway/simple").status == 200
    first, second = (r.headers for r in upstream.requests)
    assert (first["traceparent"], first["tracestate"]) == (theirs, "vendor=1")
    assert "traceparent" not in second
