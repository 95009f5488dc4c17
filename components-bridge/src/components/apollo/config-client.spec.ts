import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { startApollo, APP } from '../../../../test/support/apollo/backend.js';
import type { ApolloStandIn } from '../../../../test/support/apollo/stand-in.js';
import { ConfigClient, signature } from './config-client.js';
import type { ConfigClientOptions } from './config-client.js';
import { ApolloUnavailable } from './http.js';

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function apollo(...args: Parameters<typeof startApollo>): Promise<ApolloStandIn> {
  const standIn = await startApollo(...args);
  open.push({ close: () => standIn.stop() });
  const main = standIn.model.namespace(APP, 'default', 'application');
  if (main === undefined) throw new Error('an app has the namespace application');
  standIn.model.createItem(main.id, { key: 'k', value: 'v', comment: '', lineNum: 1 }, 'test');
  standIn.model.release(main, 'first', '', 'test');
  return standIn;
}

/** A server that answers as it likes. */
async function impostor(answer: RequestListener): Promise<string> {
  const server: Server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push({
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function client(addresses: string[], more: Partial<ConfigClientOptions> = {}): ConfigClient {
  const of = { cluster: 'default', dataCenter: undefined, secret: undefined, timeoutMs: 500 };
  return new ConfigClient({ addresses, appId: APP, ...of, ...more });
}

it('signs as the official clients do', () => {
  // The example of Apollo's guide for clients in other languages.
  const path = '/configs/100004458/default/application?ip=10.0.0.1';
  expect(signature('100004458', 'df23df3f59884980844ff3dada30fa97', path, 1576478257344)).toEqual({
    Authorization: 'Apollo 100004458:EoKyziXvKqzHgwx+ijDJwgVTDgE=',
    Timestamp: '1576478257344',
  });
});

it('is let in with the access key, and says what to do without', async () => {
  const { model, meta } = await apollo();
  model.createAccessKey(APP, 'the secret', 'test').enabled = true;
  const release = await client([meta], { secret: 'the secret' }).load('application', undefined);
  expect(release?.configurations).toEqual({ k: 'v' });
  await expect(client([meta]).load('application', undefined)).rejects.toThrow('set secret');
  const wrong = client([meta], { secret: 'another' });
  await expect(wrong.load('application', undefined)).rejects.toThrow('check secret, and the clock');
});

it('reads the default cluster where its own has nothing, and nothing where there is no namespace', async () => {
  const { model, meta } = await apollo();
  const elsewhere = client([meta], { cluster: 'far' });
  expect(await elsewhere.load('application', undefined)).toMatchObject({ cluster: 'default' });
  model.createCluster(APP, 'far', 'test');
  const far = model.namespace(APP, 'far', 'application');
  if (far === undefined) throw new Error('a new cluster has every namespace');
  model.createItem(far.id, { key: 'k', value: 'far', comment: '', lineNum: 1 }, 'test');
  model.release(far, 'first', '', 'test');
  expect(await elsewhere.load('application', undefined)).toMatchObject({ configurations: { k: 'far' } });
  expect(await elsewhere.load('nowhere', undefined)).toBeUndefined();
});

it('gives back what is known if nothing has changed', async () => {
  const { meta } = await apollo();
  const reader = client([meta]);
  const release = await reader.load('application', undefined);
  expect(await reader.load('application', release)).toBe(release);
});

it('goes to the next config service when one dies, and to the next meta service', async () => {
  const standIn = await apollo({ configServices: 3 });
  const reader = client(['http://127.0.0.1:1', standIn.meta], { timeoutMs: 500 });
  for (const dead of [1, 2]) {
    expect(await reader.load('application', undefined)).toMatchObject({ configurations: { k: 'v' } });
    await standIn.configServices[dead]?.close();
  }
  expect(await reader.load('application', undefined)).toMatchObject({ configurations: { k: 'v' } });
});

it.each<[string, RequestListener, string]>([
  ['not JSON', (_, response) => response.end('<html>hello</html>'), 'it is no Apollo, it answered <html>'],
  ['of another form', (_, response) => response.end('{"configurations":7}'), 'of another form'],
  ['in trouble', (_, response) => response.writeHead(503).end('later'), 'it answered 503 later'],
  ['a redirect', (_, response) => response.writeHead(302, { location: '/' }).end(), 'redirect'],
  ['cut off', (_, response) => response.writeHead(200, { 'content-length': '9' }).end('{'), '127.0.0.1'],
  ['closed at once', (request) => request.socket.destroy(), 'other side closed'],
  ['never there', () => undefined, 'no answer in time'],
  [
    'slow',
    (_, response) => {
      const timer = setInterval(() => response.write(' '), 20);
      response.once('close', () => clearInterval(timer));
    },
    'no answer in time',
  ],
  [
    'without end',
    (_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(1024 * 1024, ' ')));
      };
      response.on('drain', more);
      more();
    },
    'longer than 16777216 bytes',
  ],
])('takes an answer that is %s for none', async (_, answer, reason) => {
  const address = await impostor(answer);
  const reader = client([address], { timeoutMs: reason.startsWith('longer') ? 10_000 : 300 });
  const failure = reader.load('application', undefined);
  await expect(failure).rejects.toThrow(ApolloUnavailable);
  await expect(failure).rejects.toThrow(reason);
});
