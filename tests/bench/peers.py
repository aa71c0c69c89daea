#!/usr/bin/env python3
"""Starts another gateway, or nginx, in front of an upstream: peers.py NAME CACHE UPSTREAM. Its address is the first line on standard output;
it ends with this process. What it needs was put into CACHE by run.sh."""
import json, os, pathlib, shutil, signal, socket, subprocess, sys, tempfile, time

name, cache, upstream = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
work = pathlib.Path(tempfile.mkdtemp(prefix=f"bench-{name}-"))
children = []


def stop(*_):
    for child in children:
        child.kill()
    shutil.rmtree(work, ignore_errors=True)
    os._exit(0)


signal.signal(signal.SIGTERM, stop)


def free():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(*command, **more):
    log = open(work / "log", "w")
    env = {**os.environ, "HOME": str(work), "NO_PROXY": "*", **more}
    children.append(subprocess.Popen([str(c) for c in command], stdout=log, stderr=log, env=env, cwd=work))


def ready(port, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end and all(c.poll() is None for c in children):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                print(f"127.0.0.1:{port}", flush=True)
                while True:
                    time.sleep(1)
                    # Whoever started us is gone.
                    if os.getppid() == 1:
                        stop()
        time.sleep(0.1)
    sys.stderr.write((work / "log").read_text()[-2000:])
    stop()


def nginx():
    port = free()
    (work / "nginx.conf").write_text(f"""
worker_processes auto; daemon off; pid {work}/pid; error_log {work}/error;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000; client_max_body_size 50m; client_body_buffer_size 4m;
  client_body_temp_path {work}/b; proxy_temp_path {work}/p; fastcgi_temp_path {work}/f; uwsgi_temp_path {work}/u; scgi_temp_path {work}/s;
  upstream up {{ server {upstream}; keepalive 256; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096 reuseport;
    location / {{ proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
  }}
}}""")
    start(shutil.which("nginx") or cache / "nginx/usr/sbin/nginx", "-p", work, "-c", work / "nginx.conf")
    ready(port, 10)


def switchyard():
    (work / "routes.toml").write_text(f"""schema_version = 1
[llm_clients.up]
format = "openai_chat"
base_url = "http://{upstream}/v1"
api_key_env = "BENCH_KEY"
[targets.bench]
id = "bench"
llm_client = "up"
[routes.bench]
id = "o:bench"
type = "passthrough"
target = "bench"
""")
    port = free()
    run = f"from switchyard_rust.server import Server; import time\nwith Server('routes.toml', port={port}): time.sleep(1e6)"
    start(cache / "switchyard/bin/python", "-c", run, BENCH_KEY="k")
    ready(port, 20)


def portkey():
    port = free()
    start("node", cache / "portkey/node_modules/@portkey-ai/gateway/build/start-server.js", f"--port={port}", "--headless", NODE_ENV="production")
    ready(port, 20)


def router():
    port = free()
    folder = work / ".claude-code-router"
    folder.mkdir()
    provider = {"name": "o", "api_base_url": f"http://{upstream}/v1/chat/completions", "api_key": "k", "models": ["bench"]}
    config = {"PORT": port, "HOST": "127.0.0.1", "LOG": False, "APIKEY": "bench-key", "Providers": [provider], "Router": {"default": "o,bench"}}
    (folder / "config.json").write_text(json.dumps(config))
    start(cache / "ccr/node_modules/.bin/ccr", "start", SERVICE_PORT=str(port))
    ready(port, 30)


def litellm():
    port = free()
    params = {"model": "openai/bench", "api_base": f"http://{upstream}/v1", "api_key": "k"}
    (work / "c.yaml").write_text(json.dumps({"model_list": [{"model_name": "o:bench", "litellm_params": params}], "general_settings": {"master_key": "bench-key"}}))
    start(cache / "litellm/bin/litellm", "--config", work / "c.yaml", "--host", "127.0.0.1", "--port", port, "--num_workers", "1", "--telemetry", "False",
          LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_LOG="ERROR")
    ready(port, 120)


{"nginx": nginx, "switchyard": switchyard, "portkey": portkey, "claude-code-router": router, "litellm": litellm}[name]()
