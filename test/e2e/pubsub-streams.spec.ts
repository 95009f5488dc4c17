import { EventStream } from '../support/event-streams.js';
import { Publisher } from '../support/publisher.js';
import { Runtime } from '../support/runtime.js';
import { eventually } from '../support/wait.js';

const PUBSUB = {
  name: 'pubsub',
  type: 'pubsub.embedded',
  metadata: { redeliverInterval: '200ms' },
  topicScopes: { allowed: [], protected: ['secret'], publishing: {}, subscription: {} },
};

describe.each(['layotto', 'dapr'] as const)('streams of %s', (api) => {
  let runtime: Runtime;
  let publisher: Publisher;
  const open: EventStream[] = [];

  beforeAll(async () => {
    runtime = await Runtime.start({ components: [PUBSUB] });
    publisher = await Publisher.of(runtime);
  });

  afterEach(() => {
    for (const stream of open.splice(0)) stream.close();
  });

  afterAll(() => runtime?.stop());

  const stream = (...rest: Parameters<typeof streamOf>): EventStream => {
    const made = streamOf(...rest);
    open.push(made);
    return made;
  };
  const streamOf = (initial: ConstructorParameters<typeof EventStream>[2], settle?: boolean): EventStream =>
    new EventStream(runtime.port, api, initial, settle);

  const begun = async (made: EventStream): Promise<EventStream> => {
    await eventually('it holds', () => {
      if (made.ended !== undefined) throw new Error(JSON.stringify(made.ended));
      return made.begun;
    });
    return made;
  };

  test('events come as they are published', async () => {
    const events = await begun(stream({ pubsubName: 'pubsub', topic: 'orders' }));
    await publisher.publish('orders', { total: 1 });
    await publisher.publish('orders', 'text', { contentType: 'text/plain' });
    await publisher.publish('orders', Buffer.from([1, 255]), { contentType: 'image/png' });
    await eventually('all have come', () => events.events.length === 3);
    expect(events.events).toMatchObject([
      { topic: 'orders', pubsubName: 'pubsub', dataContentType: 'application/json', specVersion: '1.0' },
      { dataContentType: 'text/plain' },
      { dataContentType: 'image/png', data: new Uint8Array([1, 255]) },
    ]);
    expect(events.data.slice(0, 2)).toEqual(['{"total":1}', 'text']);
  });

  test('what is not settled when it breaks comes again, and so does what is to be retried', async () => {
    const first = await begun(stream({ pubsubName: 'pubsub', topic: 'breaks' }, false));
    for (const n of [1, 2, 3]) await publisher.publish('breaks', n);
    await eventually('all have come', () => first.events.length === 3);
    first.settle(first.events[0]?.id ?? '', 0);
    first.settle(first.events[1]?.id ?? '', 1);
    await eventually(
      'what is to be retried comes again',
      () => first.data.filter((n) => n === '2').length === 2,
    );
    first.close();
    const second = await begun(stream({ pubsubName: 'pubsub', topic: 'breaks' }));
    await eventually('the rest comes', () => second.events.length === 2);
    expect([...second.data].sort()).toEqual(['2', '3']);
  });

  test('what is dropped goes to the dead letter topic', async () => {
    const dead = await begun(stream({ pubsubName: 'pubsub', topic: 'dead' }));
    const events = await begun(
      stream({ pubsubName: 'pubsub', topic: 'poison', deadLetterTopic: 'dead' }, false),
    );
    await publisher.publish('poison', 'x');
    const [event] = await eventually('it comes', () =>
      events.events.length > 0 ? events.events : undefined,
    );
    events.settle(event?.id ?? '', 2);
    await eventually('it is dead', () => dead.events.length === 1);
    expect(dead.events[0]?.id).toBe(event?.id);
  });

  test('only so many events are in hand', async () => {
    const metadata = { maxConcurrentMessages: '2' };
    const events = await begun(stream({ pubsubName: 'pubsub', topic: 'slow', metadata }, false));
    for (let n = 0; n < 5; n++) await publisher.publish('slow', n);
    await eventually('two have come', () => events.events.length === 2);
    events.settle(events.events[0]?.id ?? '', 0);
    await eventually('one more has come', () => events.events.length === 3);
    for (let n = 1; n < 5; n++) {
      await eventually('it has come', () => events.events.length > n);
      expect(events.events.length).toBeLessThanOrEqual(n + 2);
      events.settle(events.events[n]?.id ?? '', 0);
    }
  });

  test.each([
    ['without a first message', undefined, 'initial request is required'],
    ['without pubsub', { pubsubName: '', topic: 't' }, 'pubsubName is required'],
    ['without topic', { pubsubName: 'pubsub', topic: '' }, 'topic is required'],
  ])('%s it ends', async (_, initial, details) => {
    const made = stream(initial);
    if (initial === undefined) made.settle('x', 0);
    expect(await eventually('it ends', () => made.ended)).toEqual({ code: 2, details });
  });

  test('of a pubsub that is not there it ends, and of a topic that is not allowed', async () => {
    const unknown = stream({ pubsubName: 'nope', topic: 't' });
    const words =
      api === 'layotto'
        ? { code: 2, details: 'pubsub nope is not initialized.' }
        : { code: 3, details: 'pubsub nope is not found' };
    expect(await eventually('it ends', () => unknown.ended)).toEqual(words);
    const secret = stream({ pubsubName: 'pubsub', topic: 'secret' });
    expect(await eventually('it ends', () => secret.ended)).toMatchObject({ code: 7 });
  });

  test('a second first message ends it', async () => {
    const made = await begun(stream({ pubsubName: 'pubsub', topic: 'twice' }));
    const value = { $typeName: 'spec.proto.runtime.v1.SubscribeTopicEventsRequestInitial' as const };
    made.send({
      case: 'initialRequest',
      value: { ...value, pubsubName: 'pubsub', topic: 'twice', metadata: {} },
    });
    const ended = await eventually('it ends', () => made.ended);
    expect(ended).toEqual({ code: 2, details: 'duplicate initial request received' });
  });

  test('a bridge that takes over gives streams time to settle, and tells them to come again', async () => {
    const events = await begun(stream({ pubsubName: 'pubsub', topic: 'moves' }, false));
    await publisher.publish('moves', 1);
    await eventually('it comes', () => events.events.length === 1);
    const taken = runtime.takeOver();
    await eventually('the old bridge is told to go', () =>
      runtime.bridgeProcess.log.includes('serving sessions'),
    );
    events.settle(events.events[0]?.id ?? '', 0);
    expect(await eventually('it ends', () => events.ended)).toMatchObject({ code: 14 });
    await taken;
    const again = await begun(stream({ pubsubName: 'pubsub', topic: 'moves' }));
    await publisher.publish('moves', 2);
    await eventually('the next comes', () => again.events.length > 0);
    expect(again.data).toEqual(['2']);
  });

  if (api === 'layotto')
    test('there is one for a topic', async () => {
      await begun(stream({ pubsubName: 'pubsub', topic: 'one' }));
      const second = stream({ pubsubName: 'pubsub', topic: 'one' });
      expect(await eventually('it ends', () => second.ended)).toEqual({
        code: 2,
        details: 'already subscribed to pubsub "pubsub" topic "one"',
      });
    });
});
