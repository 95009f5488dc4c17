import { metadataSchema } from './metadata.js';

const natsURL = 'nats://n';

/** What is said of metadata, key by key. */
function problems(metadata: Record<string, string>): string[] {
  const { error } = metadataSchema.safeParse(metadata);
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

it('becomes values', () => {
  const parsed = metadataSchema.parse({
    natsURL: 'nats://u:p%40ss@one:4333, u:p%40ss@[::1]',
    startTime: '1700000000',
    deliverPolicy: 'TIME',
    ackPolicy: 'explicit',
    ackWait: '30s',
    backOff: '50ms, 1s,10s',
    memoryStorage: 'true',
    streamMaxAge: '0',
    startSequence: '',
  });
  expect(parsed).toMatchObject({
    natsURL: { addresses: ['one:4333', '[::1]:4222'], tls: false, user: 'u', password: 'p@ss' },
    startTime: 1_700_000_000,
    deliverPolicy: 'time',
    ackWait: 30_000,
    backOff: [50, 1_000, 10_000],
    memoryStorage: true,
    streamMaxAge: 0,
  });
  expect(parsed.startSequence).toBeUndefined();
});

it('takes TLS from the address', () => {
  expect(metadataSchema.parse({ natsURL: 'tls://n:1' }).natsURL).toEqual({ addresses: ['n:1'], tls: true });
});

it.each<[Record<string, string>, string]>([
  [{}, 'natsURL: expected nats://host:port'],
  [{ natsURL: 'http://n' }, 'natsURL: expected nats://host:port, or several'],
  [{ natsURL: 'nats://a, tls://b' }, 'natsURL: expected nats://host:port, or several'],
  [{ natsURL: 'nats://a:b@c', token: 't' }, 'natsURL: expected no user beside token'],
  [{ natsURL, jwt: 'j' }, "seedKey: expected the seed of the jwt's user"],
  [{ natsURL, seedKey: 's' }, "jwt: expected the JWT of the seedKey's user"],
  [{ natsURL, tls_client_cert: 'c' }, 'tls_client_key: expected the key of tls_client_cert'],
  [{ natsURL, tls_client_key: 'k' }, 'tls_client_cert: expected the certificate of tls_client_key'],
  [{ natsURL, domain: 'd', apiPrefix: 'p' }, 'apiPrefix: expected only one of domain and apiPrefix'],
  [{ natsURL, consumerID: 'a', queueGroupName: 'b' }, 'queueGroupName: expected only one of'],
  [{ natsURL, deliverPolicy: 'sequence' }, 'startSequence: expected it beside deliverPolicy: sequence'],
  [{ natsURL, startSequence: '5' }, 'startSequence: expected it beside deliverPolicy: sequence'],
  [{ natsURL, startTime: '5' }, 'startTime: expected it beside deliverPolicy: time'],
  [{ natsURL, ackPolicy: 'none' }, 'ackPolicy: expected explicit: with any other, messages'],
  [{ natsURL, rateLimit: '1024' }, 'rateLimit: expected it to be left out: messages are pulled'],
  [{ natsURL, ackWait: '10ms' }, 'ackWait: expected at least 1s'],
  [{ natsURL, streamName: 'a.b' }, 'streamName: expected a name without blanks'],
  [{ natsURL, durableName: 'a b' }, 'durableName: expected a name without blanks'],
  [{ natsURL, backOff: '1s,x' }, 'backOff: expected durations separated by commas'],
  [{ natsURL, nonsense: 'x' }, 'Unrecognized key: "nonsense"'],
])('refuses %j', (metadata, problem) => {
  const [first, ...others] = problems(metadata);
  expect(first).toContain(problem);
  expect(others).toEqual([]);
});
