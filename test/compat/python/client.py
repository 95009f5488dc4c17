"""The published client `dapr`, unmodified: what it got, as JSON."""

import json

from dapr.clients import DaprClient
from dapr.clients.exceptions import DaprGrpcError
from dapr.clients.grpc._request import TransactionalStateOperation, TransactionOperationType
from dapr.clients.grpc._response import TopicEventResponse
from dapr.clients.grpc._state import StateItem

got = {}
with DaprClient() as client:
    # A stream needs no app's port. The package ends it at once if its writing thread runs before the one that says that
    # the stream is active, which happens on a busy machine.
    for tries in range(10):
        streamed = client.subscribe('pubsub', 'streamed')
        client.publish_event('pubsub', 'streamed', json.dumps({'n': 1}), data_content_type='application/json')
        try:
            event = next(streamed)
            break
        except Exception as error:
            if tries == 9 or not isinstance(error.__context__, StopIteration):
                raise
    got['streamed'] = event.data()
    streamed.respond_success(event)
    streamed.close()

    as_json = {'data_content_type': 'application/json'}
    client.publish_event('pubsub', 'orders', json.dumps({'total': 3}), **as_json)
    urgent = {'cloudevent.type': 'urgent'}
    client.publish_event('pubsub', 'routed', json.dumps('urgent'), publish_metadata=urgent, **as_json)
    many = client.publish_events('pubsub', 'orders', ['1', '2'], data_content_type='application/json')
    got['failed'] = len(many.failed_entries)
    client.publish_event('pubsub', 'tried', json.dumps('again'), **as_json)
    try:
        client.publish_event('nowhere', 'orders', '1')
    except DaprGrpcError as error:
        got['nowhere'] = [error.code().name, error.details()]

    client.save_state('statestore', 'a', 'one')
    first = client.get_state('statestore', 'a')
    client.save_state('statestore', 'a', 'two', etag=first.etag)
    try:
        client.save_state('statestore', 'a', 'three', etag=first.etag)
    except DaprGrpcError as error:
        got['stale'] = error.code().name
    client.save_bulk_state('statestore', [StateItem('b', 'x'), StateItem('c', 'y')])
    client.execute_state_transaction(
        'statestore',
        [
            TransactionalStateOperation(key='d', data='z'),
            TransactionalStateOperation(key='b', operation_type=TransactionOperationType.delete),
        ],
    )
    items = client.get_bulk_state('statestore', ['a', 'b', 'c', 'd']).items
    got['state'] = {item.key: item.text() for item in items}
    client.delete_state('statestore', 'a')
    got['deleted'] = client.get_state('statestore', 'a').text()

    answer = client.invoke_method('pay', 'echo', data='a call', http_verb='POST', content_type='text/plain')
    got['invoked'] = [answer.text(), answer.content_type]

print(json.dumps(got), flush=True)
