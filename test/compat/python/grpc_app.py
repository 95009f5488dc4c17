"""An app of the published `dapr-ext-grpc`, unmodified: it says what it is told, and is invoked."""

import json
import os

from cloudevents.sdk.event import v1
from dapr.clients.grpc._request import InvokeMethodRequest
from dapr.clients.grpc._response import InvokeMethodResponse, TopicEventResponse
from dapr.ext.grpc import App, Rule

app = App()
tries = {}


def told(route: str, event: v1.Event) -> None:
    print(json.dumps({'route': route, 'data': json.loads(event.Data())}), flush=True)


@app.subscribe('pubsub', 'orders')
def orders(event: v1.Event) -> None:
    told('orders', event)


@app.subscribe('pubsub', 'routed', rule=Rule('event.type == "urgent"', 1))
def urgent(event: v1.Event) -> None:
    told('urgent', event)


@app.subscribe('pubsub', 'tried', dead_letter_topic='dead', metadata={'maxDeliveries': '3'})
def tried(event: v1.Event) -> TopicEventResponse:
    told('tried', event)
    tries[event.id] = tries.get(event.id, 0) + 1
    return TopicEventResponse('retry' if tries[event.id] == 1 else 'drop')


@app.subscribe('pubsub', 'dead')
def dead(event: v1.Event) -> TopicEventResponse:
    told('dead', event)
    return TopicEventResponse('success')


@app.method('echo')
def echo(request: InvokeMethodRequest) -> InvokeMethodResponse:
    return InvokeMethodResponse(b'"' + request.text().encode() + b' heard"', 'application/json')


app.run(int(os.environ['APP_PORT']), '127.0.0.1')
