"""A model that says and calls what a test tells it to, in Anthropic's format. Standard library only, loopback only."""
import http.server
import json
import threading


def text(said):
    return {"type": "text", "text": said}


def tool(name, id="t1", **arguments):
    return {"type": "tool_use", "id": id, "name": name, "input": arguments}


class Model:
    """Answers with the next of `turns`, each a list of blocks; `asked` has every request's body."""

    def __init__(self):
        self.turns, self.asked = [], []
        model = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if self.path.split("?")[0] != "/v1/messages":
                    return self.reply(json.dumps({"input_tokens": 1}), "application/json")
                # Claude Code asks small things of its own beside.
                side = not body.get("tools")
                if not side:
                    model.asked.append(body)
                blocks = model.turns.pop(0) if model.turns and not side else [text("Nothing more.")]
                stop = "tool_use" if any(b["type"] == "tool_use" for b in blocks) else "end_turn"
                message = {"id": f"msg_{len(model.asked)}", "type": "message", "role": "assistant", "model": body["model"], "content": blocks,
                           "stop_reason": stop, "stop_sequence": None, "usage": {"input_tokens": 100, "output_tokens": 10}}
                if not body.get("stream"):
                    return self.reply(json.dumps(message), "application/json")
                self.reply("".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events(message)), "text/event-stream")

            def reply(self, body, kind):
                body = body.encode()
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def results(self):
        """The results that the newest request has of tools: {id: text}."""
        found = {}
        for message in self.asked[-1]["messages"]:
            for block in message["content"] if isinstance(message["content"], list) else []:
                if block["type"] == "tool_result":
                    content = block["content"]
                    found[block["tool_use_id"]] = content if isinstance(content, str) else "".join(b.get("text", f"[{b['type']}]") for b in content)
        return found


def events(message):
    yield {"type": "message_start", "message": {**message, "content": [], "stop_reason": None, "usage": {**message["usage"], "output_tokens": 1}}}
    for index, block in enumerate(message["content"]):
        if block["type"] == "text":
            yield {"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}}
            delta = {"type": "text_delta", "text": block["text"]}
        else:
            yield {"type": "content_block_start", "index": index, "content_block": {**block, "input": {}}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": message["stop_reason"], "stop_sequence": None}, "usage": {"output_tokens": message["usage"]["output_tokens"]}}
    yield {"type": "message_stop"}
