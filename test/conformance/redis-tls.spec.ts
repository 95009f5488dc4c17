import { Code } from '../../components-bridge/src/primitives/errors.js';
import { ClusterServers } from '../support/cluster-servers.js';
import { SentinelServers } from '../support/sentinel-servers.js';
import { startStore } from '../support/store-servers.js';
import type { StoreServer } from '../support/store-servers.js';
import { certificate, pem, TlsFront } from '../support/tls-front.js';
import type { TlsFrontOptions } from '../support/tls-front.js';
import { eventually } from '../support/wait.js';
import { item, refused, StateClient, STRONG } from './state-client.js';

/** Who is let in, who is not, and what is said then. */
describe('state.redis over TLS', () => {
  let server: StoreServer;
  const open: { close(): Promise<void> }[] = [];

  beforeAll(async () => {
    server = await startStore('valkey');
  });

  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.close();
  });

  afterAll(() => server?.stop());

  async function front(options: TlsFrontOptions = {}): Promise<TlsFront> {
    const started = await TlsFront.start(server.port, options);
    open.push({ close: () => started.stop() });
    return started;
  }

  async function client(
    redisHost: string,
    metadata: Record<string, string>,
    wait = true,
  ): Promise<StateClient> {
    const all = { redisHost, enableTLS: 'true', ...metadata };
    const state = await StateClient.open({ type: 'state.redis', metadata: all, wait });
    open.push(state);
    return state;
  }

  const CA = { caCert: pem('ca.pem') };

  it.each<[string, TlsFrontOptions, Record<string, string>]>([
    ['a certificate of the CA given as text', {}, CA],
    ['the CA given as text with escaped line ends', {}, { caCert: pem('ca.pem').replaceAll('\n', '\\n') }],
    ['the CA given as a file', {}, { caCert: certificate('ca.pem') }],
    [
      "the client's own certificate",
      { clientCertificates: true },
      { ...CA, clientCert: pem('client.pem'), clientKey: certificate('client.key') },
    ],
    [
      'a certificate for another name that is expected',
      { as: 'elsewhere' },
      { ...CA, tlsServerName: 'redis.example' },
    ],
    ['any certificate if none is checked', { as: 'elsewhere' }, { insecureSkipTLSVerify: 'true' }],
  ])('is served with %s', async (_, options, metadata) => {
    const { port } = await front(options);
    const state = await client(`127.0.0.1:${port}`, metadata);
    await state.save(item('k', 'v'));
    expect((await state.get('k')).data).toBe('v');
    await state.delete('k');
  });

  it('checks the name of a host that is given by name', async () => {
    const { port } = await front();
    const state = await client(`localhost:${port}`, CA);
    await state.save(item('k', 'v'));
    const wrong = await front({ as: 'elsewhere' });
    const other = await client(`localhost:${wrong.port}`, CA, false);
    expect(await reasonOf(other)).toMatch(
      /Host: localhost\. is not in the cert's altnames: DNS:redis\.example/,
    );
  });

  it.each<[string, TlsFrontOptions, Record<string, string>, RegExp]>([
    [
      'a CA that is not known',
      {},
      {},
      /(self-signed certificate|unable to verify).*; if a private CA signed .* caCert$/,
    ],
    ['another CA', {}, { caCert: pem('stranger.pem') }, /unable to verify.*caCert$/],
    [
      'a certificate for another name',
      { as: 'elsewhere' },
      CA,
      /IP: 127\.0\.0\.1 is not in the cert's list.*give it in tlsServerName$/,
    ],
    ['no client certificate', { clientCertificates: true }, CA, /check clientCert and clientKey/],
    [
      "another authority's client certificate",
      { clientCertificates: true },
      { ...CA, clientCert: pem('intruder.pem'), clientKey: pem('intruder.key') },
      /check clientCert and clientKey/,
    ],
    [
      'a key that is not the certificate’s',
      { clientCertificates: true },
      { ...CA, clientCert: pem('client.pem'), clientKey: pem('intruder.key') },
      /key values mismatch/,
    ],
    [
      'a file that is not there',
      {},
      { caCert: '/nonexistent/ca.pem' },
      /caCert: expected PEM text or a file .*ENOENT/,
    ],
    [
      'a file that is no certificate',
      {},
      { caCert: certificate('README.md') },
      /PEM|no start line|NO_START_LINE|caCert/,
    ],
  ])('is refused with %s, and says why', async (_, options, metadata, reason) => {
    const { port } = await front(options);
    const state = await client(`127.0.0.1:${port}`, metadata, false);
    expect(await reasonOf(state)).toMatch(reason);
    const { code, message } = await refused(state.get('k'));
    expect(code).toBe(Code.UNAVAILABLE);
    expect(message).toMatch(/^state store store is not ready: /);
    expect(message).toMatch(reason);
    expect(message).not.toContain('PRIVATE KEY');
  });

  it('says that a server may not speak TLS, and that it may', async () => {
    const plain = await client(`127.0.0.1:${server.port}`, { ...CA, dialTimeout: '500ms' }, false);
    expect(await reasonOf(plain)).toMatch(/ETIMEDOUT; if the port does not speak TLS, leave out enableTLS$/);
    const { port } = await front();
    const tls = await client(`127.0.0.1:${port}`, { enableTLS: 'false' }, false);
    expect(await reasonOf(tls)).toMatch(/closed the connection at once; if it speaks TLS, set enableTLS$/);
  });

  it('comes back after the front was away', async () => {
    const first = await TlsFront.start(server.port);
    const { port } = first;
    const state = await client(`127.0.0.1:${port}`, CA);
    await state.save(item('k', 'v'));
    await first.stop();
    await state.until('down');
    await front({ port });
    await state.until('ready');
    expect((await state.get('k')).data).toBe('v');
  });

  it('reaches every node of a cluster', async () => {
    const cluster = await ClusterServers.start({ front: (port) => TlsFront.start(port), password: 'secret' });
    open.push({ close: () => cluster.stop() });
    const state = await client('', { ...cluster.metadata, ...CA });
    const keys = Array.from({ length: 50 }, (_, index) => `key-${index}`);
    await state.save(...keys.map((key) => item(key, key)));
    expect((await state.bulk(keys)).map(({ etag }) => etag)).toEqual(keys.map(() => '1'));
    const sizes = await Promise.all(cluster.nodes.map(({ admin }) => admin.dbsize()));
    expect(sizes.every((size) => size > 0)).toBe(true);
  });

  it('reaches Sentinels and the primary that they name, and says which of them is not trusted', async () => {
    const group = await SentinelServers.start({
      // Sentinels and replicas do not speak TLS, and use the announced ports too.
      front: (port) => TlsFront.start(port, { plainToo: true }),
      replicas: 1,
    });
    open.push({ close: () => group.stop() });
    const state = await client('', { ...group.metadata, ...CA });
    await state.save(item('k', 'v', STRONG));
    expect((await state.get('k')).data).toBe('v');
    const primary = await group.primary();
    const stored = await group.askServer(primary, (redis) => redis.hget('app||k', 'data'));
    expect(stored).toBe('v');
    const other = await client('', { ...group.metadata, caCert: pem('stranger.pem') }, false);
    expect(await reasonOf(other)).toMatch(
      /: Sentinel 127\.0\.0\.1:\d+: .*unable to verify.*name it in caCert/,
    );
  });

  /** Why it is not ready, once that is known. */
  function reasonOf(state: StateClient): Promise<string> {
    return eventually('a reason is given', () => state.health.reason);
  }
});
