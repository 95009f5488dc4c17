"""An app of the published `dapr-ext-fastapi`, unmodified: it says what it is told, and is invoked."""

import json
import os

import uvicorn
from dapr.ext.fastapi import DaprApp
from fastapi import FastAPI, Request

app = FastAPI()
dapr_app = DaprApp(app)
tries = {}


async def told(route: str, request: Request) -> dict:
    event = await request.json()
    print(json.dumps({'route': route, 'data': event['data']}), flush=True)
    return event


@dapr_app.subscribe(pubsub='pubsub', topic='orders')
async def orders(request: Request) -> None:
    await told('orders', request)


@dapr_app.subscribe(
    pubsub='pubsub',
    topic='tried',
    route='/tried',
    dead_letter_topic='dead',
    metadata={'maxDeliveries': '3'},
)
async def tried(request: Request) -> dict:
    event = await told('tried', request)
    tries[event['id']] = tries.get(event['id'], 0) + 1
    return {'status': 'RETRY' if tries[event['id']] == 1 else 'DROP'}


@dapr_app.subscribe(pubsub='pubsub', topic='dead', route='/dead')
async def dead(request: Request) -> dict:
    await told('dead', request)
    return {'status': 'SUCCESS'}


@app.post('/echo')
async def echo(request: Request) -> str:
    return f'{(await request.body()).decode()} heard'


uvicorn.run(app, host='127.0.0.1', port=int(os.environ['APP_PORT']), log_level='warning')
