import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { BrokerClient } from '../conformance/pubsub-client.js';
import { freePorts } from '../support/ports.js';
import { startKafka } from './kafka-server.js';
import type { KafkaServer } from './kafka-server.js';

const CERTIFICATES = join(import.meta.dirname, '../support/certificates');
const PLAIN = 'org.apache.kafka.common.security.plain.PlainLoginModule';

let kafka: KafkaServer;
/** Ports of listeners: a password, a password over TLS, and TLS with certificates on both sides. */
let ports: number[];
let topics = 0;

beforeAll(async () => {
  ports = await freePorts(3);
  const pem = async (name: string) =>
    (await readFile(join(CERTIFICATES, name), 'utf8')).trim().replaceAll('\n', '\\n');
  const [ca, certificate, key] = await Promise.all([pem('ca.pem'), pem('server.pem'), pem('server.key')]);
  const [sasl, saslTls, mutual] = ports;
  kafka = await startKafka((port, controllerPort) => ({
    listeners: [
      `PLAINTEXT://127.0.0.1:${port}`,
      `CONTROLLER://127.0.0.1:${controllerPort}`,
      `SASL://127.0.0.1:${sasl}`,
      `SASLTLS://127.0.0.1:${saslTls}`,
      `MUTUAL://127.0.0.1:${mutual}`,
    ].join(','),
    'advertised.listeners': [
      `PLAINTEXT://127.0.0.1:${port}`,
      `SASL://127.0.0.1:${sasl}`,
      `SASLTLS://127.0.0.1:${saslTls}`,
      `MUTUAL://127.0.0.1:${mutual}`,
    ].join(','),
    'listener.security.protocol.map':
      'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,SASLTLS:SASL_SSL,MUTUAL:SSL',
    'inter.broker.listener.name': 'PLAINTEXT',
    'sasl.enabled.mechanisms': 'PLAIN',
    'listener.name.sasl.plain.sasl.jaas.config': `${PLAIN} required user_app="secret";`,
    'listener.name.sasltls.plain.sasl.jaas.config': `${PLAIN} required user_app="secret";`,
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.certificate.chain': certificate,
    'ssl.keystore.key': key,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.certificates': ca,
    'listener.name.mutual.ssl.client.auth': 'required',
  }));
}, 90_000);

afterAll(() => kafka?.stop());

/** Publishes and gets a message. */
async function works(port: number | undefined, metadata: Record<string, string>): Promise<void> {
  const settings = { brokers: `127.0.0.1:${port}`, heartbeatInterval: '300ms', timeout: '3s', ...metadata };
  const client = await BrokerClient.open('pubsub.kafka', settings);
  try {
    const topic = `login-${++topics}`;
    await client.publish(topic, 'a');
    const taker = await client.subscribe(topic);
    expect(await taker.has(1)).toEqual(['a']);
    await taker.close();
  } finally {
    await client.close();
  }
}

const file = (name: string) => join(CERTIFICATES, name);
const user = { authType: 'password', saslUsername: 'app', saslPassword: 'secret' };

it('logs in by a password, with TLS or without', async () => {
  await works(ports[0], { ...user, disableTls: 'true' });
  await works(ports[1], { ...user, caCert: file('ca.pem') });
  await works(ports[1], { ...user, skipVerify: 'true' });
  await expect(works(ports[0], { ...user, disableTls: 'true', saslPassword: 'wrong' })).rejects.toThrow(
    /^127\.0\.0\.1:\d+: .*Authentication failed/,
  );
});

it('presents its certificate', async () => {
  const mine = { clientCert: file('client.pem'), clientKey: file('client.key') };
  await works(ports[2], { authType: 'mtls', caCert: file('ca.pem'), ...mine });
  await expect(works(ports[2], { authType: 'certificate', caCert: file('ca.pem') })).rejects.toThrow(
    /127\.0\.0\.1/,
  );
});

it('says what to do about a certificate that nobody vouches for', async () => {
  await expect(works(ports[1], user)).rejects.toThrow(
    '; if a private CA signed the certificate, name it in caCert',
  );
});
