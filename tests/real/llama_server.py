#!/usr/bin/env python3
"""llama.cpp's own HTTP server, as the package xllamacpp embeds it. Prints READY and its address, stops on SIGTERM or after --seconds."""
import argparse
import signal
import threading

options = argparse.ArgumentParser(description=__doc__)
options.add_argument("--model", required=True)
options.add_argument("--port", type=int, required=True)
options.add_argument("--alias", required=True)
options.add_argument("--ctx", type=int, default=4096, help="shared by all slots")
options.add_argument("--parallel", type=int, default=1, help="slots")
options.add_argument("--threads", type=int, default=1, help="more than one starves everything else on two cores")
options.add_argument("--template", help="a chat template to use instead of the model's own")
options.add_argument("--key", help="answers 401 without it")
options.add_argument("--embeddings", action="store_true", help="gives vectors, of the mean of all tokens")
options.add_argument("--seconds", type=int, default=1800)
given = options.parse_args()

import xllamacpp  # noqa: E402  (after the arguments, so that --help is quick)

parameters = xllamacpp.CommonParams()
parameters.model.path = given.model
parameters.model_alias = given.alias if isinstance(parameters.model_alias, str) else {given.alias}
parameters.hostnames, parameters.port = ["127.0.0.1"], given.port
parameters.n_ctx, parameters.n_parallel = given.ctx, given.parallel
parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = given.threads
parameters.n_threads_http = 4
parameters.use_jinja = parameters.endpoint_metrics = True
parameters.verbosity = 1
if given.embeddings:
    parameters.embedding = True
    parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
if given.template:
    with open(given.template) as template:
        parameters.chat_template = template.read()
if given.key:
    parameters.api_keys = [given.key]

stop = threading.Event()
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stop.set())
server = xllamacpp.Server(parameters)
print("READY", server.listening_address, flush=True)
stop.wait(given.seconds)
del server
