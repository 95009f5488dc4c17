"""The bridge half of rate-counter as a process of its own, in Python.

    python server.py SOCKET PRIMITIVE_JSON

It speaks the contract in proto/layotto/bridge/v1/external.proto. The messages of
the contract and of the primitive are described in primitive.json, so nothing is
generated; all it needs is grpcio and protobuf.
"""

import base64
import json
import os
import sys
import threading
import time
from concurrent import futures

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

MOST_KEYS = 10_000

socket_path, description_path = sys.argv[1:3]
with open(description_path, encoding="utf-8") as file:
    description = json.load(file)
pool = descriptor_pool.DescriptorPool()
for proto in descriptor_pb2.FileDescriptorSet.FromString(base64.b64decode(description["descriptors"])).file:
    pool.Add(proto)


def message(name):
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


DescribeRequest = message("layotto.bridge.v1.DescribeRequest")
DescribeResponse = message("layotto.bridge.v1.DescribeResponse")
PerformRequest = message("layotto.bridge.v1.PerformRequest")
PerformResponse = message("layotto.bridge.v1.PerformResponse")
IncrementRequest = message("rate_counter.v1.IncrementRequest")
IncrementResponse = message("rate_counter.v1.IncrementResponse")

lock = threading.Lock()
counts = {}


def increment(request, metadata, context):
    window = float(metadata.get("windowSeconds", "60"))
    place = (request.component_name, request.key)
    now = time.monotonic()
    with lock:
        if place not in counts and len(counts) >= MOST_KEYS:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MOST_KEYS} keys are counted already")
        began, count = counts.get(place, (now, 0))
        if now - began >= window:
            began, count = now, 0
        counts[place] = (began, count + 1)
    return IncrementResponse(count=count + 1)


METHODS = {"Increment": (IncrementRequest, increment)}


def describe(request, context):
    return DescribeResponse(protocol=1, service=description["service"], methods=list(METHODS))


def perform(request, context):
    if request.method not in METHODS:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"there is no method {request.method}")
    kind, method = METHODS[request.method]
    answer = method(kind.FromString(request.payload), dict(request.metadata), context)
    return PerformResponse(payload=answer.SerializeToString())


def handler(function, request, response):
    return grpc.unary_unary_rpc_method_handler(function, request.FromString, response.SerializeToString)


# Whoever reaches the socket may call: its owner only.
os.umask(0o077)
server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
server.add_generic_rpc_handlers(
    [
        grpc.method_handlers_generic_handler(
            "layotto.bridge.v1.External",
            {
                "Describe": handler(describe, DescribeRequest, DescribeResponse),
                "Perform": handler(perform, PerformRequest, PerformResponse),
            },
        )
    ]
)
server.add_insecure_port(f"unix:{socket_path}")
server.start()
print("serves rate-counter", flush=True)
server.wait_for_termination()
