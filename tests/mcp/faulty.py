"""A server of tools that misbehaves as it is asked to; the protocol by hand, so that it can be broken. Standard library only."""
import json
import os
import sys
import time

TOOLS = {
    "die": "Ends in the middle of the call.", "hang": "Never answers.", "flood": "Answers with a line of 64 MB.",
    "big": "Answers with a megabyte.", "noise": "Sends 20,000 notices first.", "grow": "Has one tool more from then on.",
    "garbage": "Prints what is no message first.", "env": "Tells its environment.", "who": "Tells its process id.",
}
more = 0


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(request, said, **fields):
    send({"id": request["id"], "result": {"content": [{"type": "text", "text": said}], **fields}})


def tools():
    names = {**TOOLS, **{f"more_{n}": "One more." for n in range(more)}}
    schema = {"type": "object", "properties": {}}
    return [{"name": n, "description": d, "inputSchema": schema, "annotations": {"readOnlyHint": n != "grow"}} for n, d in names.items()]


def call(request):
    global more
    name = request["params"]["name"]
    if name == "die":
        sys.stderr.write("I am dying\n")
        sys.stderr.flush()
        os._exit(7)
    if name == "hang":
        return
    if name == "flood":
        sys.stdout.write("x" * (64 << 20) + "\n")
        sys.stdout.flush()
        return
    if name == "noise":
        for n in range(20_000):
            send({"method": "notifications/message", "params": {"level": "info", "data": f"notice {n}"}})
    if name == "garbage":
        sys.stdout.write("this is no message\n\n{\"jsonrpc\": 7}\n")
        sys.stdout.flush()
    if name == "grow":
        more += 1
        send({"method": "notifications/tools/list_changed"})
    said = {"big": "begin " + "y" * (1 << 20) + " end", "env": json.dumps(dict(os.environ)), "who": str(os.getpid())}
    text(request, said.get(name, f"{name} done"))


for line in sys.stdin:
    request = json.loads(line)
    method = request.get("method")
    if method == "initialize":
        version = request["params"]["protocolVersion"]
        capabilities = {"tools": {"listChanged": True}, "logging": {}}
        send({"id": request["id"], "result": {"protocolVersion": version, "capabilities": capabilities, "serverInfo": {"name": "faulty", "version": "1"}}})
    elif method == "tools/list":
        send({"id": request["id"], "result": {"tools": tools()}})
    elif method == "tools/call":
        call(request)
    elif "id" in request and method:
        send({"id": request["id"], "result": {}})
time.sleep(0)
