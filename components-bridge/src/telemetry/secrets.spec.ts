import type { ComponentConfig } from '../config/types.js';
import { createLog } from './log.js';
import { Secrets } from './secrets.js';

const component = (metadata: Record<string, string>): ComponentConfig => ({
  name: 's',
  type: 'state.redis',
  version: 'v1',
  primitive: 'state',
  form: 'native',
  metadata,
  origin: { file: 'test', line: 0 },
});

describe('Secrets', () => {
  it('takes out what keys of metadata say is secret, and nothing else', () => {
    const secrets = new Secrets();
    const pem = '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----';
    secrets.addComponents([
      component({
        redisHost: 'redis.example:6379',
        redisPassword: 'hunter2',
        sentinelPassword: 'letmein',
        accessToken: 'tok-1',
        clientKey: pem,
        clientCert: '/etc/cert.pem',
        keyPrefix: 'name',
      }),
      component({ clientKey: '/etc/key.pem' }),
    ]);
    const text = `redis.example:6379 hunter2 letmein tok-1 ${pem} /etc/cert.pem /etc/key.pem name`;
    expect(secrets.redact(text)).toBe(
      'redis.example:6379 [redacted] [redacted] [redacted] [redacted] /etc/cert.pem /etc/key.pem name',
    );
  });

  it.each([
    ['as it is', 'p"w\\d $&é', 'wrong: p"w\\d $&é!', 'wrong: [redacted]!'],
    ['inside JSON', 'p"w\\d', 'x p\\"w\\\\d x', 'x [redacted] x'],
    ['in an address', 'p@ss/word', 'redis://h?p=p%40ss%2Fword', 'redis://h?p=[redacted]'],
    ['as a pattern', 'a.c+', 'abcc a.c+', 'abcc [redacted]'],
    ['more than once', 'hunter2', 'hunter2hunter2', '[redacted][redacted]'],
  ])('finds a secret %s', (_, secret, text, wanted) => {
    const secrets = new Secrets();
    secrets.add(secret);
    expect(secrets.redact(text)).toBe(wanted);
  });

  it('takes out a secret that holds another as a whole', () => {
    const secrets = new Secrets();
    secrets.add('pass');
    secrets.add('password1');
    expect(secrets.redact('password1 pass')).toBe('[redacted] [redacted]');
  });

  it('leaves what is too short to be told from other text, and digits inside of other numbers', () => {
    const secrets = new Secrets();
    secrets.add('abc');
    secrets.add('1795');
    expect(secrets.redact('abc 1795547048790 at 1795')).toBe('abc 1795547048790 at [redacted]');
  });

  it('takes user and password out of addresses, whatever they are', () => {
    const secrets = new Secrets();
    expect(secrets.redact('connect redis://user:pw@host:1/0 failed')).toBe(
      'connect redis://[redacted]@host:1/0 failed',
    );
    const line = '{"a":"http://127.0.0.1:4318","b":"me@example"}';
    expect(secrets.redact(line)).toBe(line);
  });

  it('forgets the oldest, so that it does not grow with every reload', () => {
    const secrets = new Secrets();
    for (let i = 0; i < 3_000; i++) secrets.add(`secret-${i}-`);
    expect(secrets.redact('secret-0- secret-2999-')).toBe('secret-0- [redacted]');
  });
});

describe('createLog', () => {
  function logged(write: (log: ReturnType<typeof createLog>) => void): string {
    const secrets = new Secrets();
    secrets.add('hunter2');
    let lines = '';
    write(createLog('debug', secrets, { write: (line) => (lines += line) }));
    return lines;
  }

  it('shows of an error what it says, and nothing that hangs on it', () => {
    const error = Object.assign(new Error('ERR no', { cause: new Error('because') }), {
      code: 'ECODE',
      command: { name: 'set', args: ['key', 'the value'] },
    });
    const line = logged((log) => log.error({ err: error }, 'failed'));
    expect(JSON.parse(line)).toMatchObject({
      msg: 'failed',
      err: { type: 'Error', message: 'ERR no', code: 'ECODE', cause: { message: 'because' } },
    });
    expect(line).toContain('secrets.spec');
    expect(line).not.toContain('the value');
  });

  it('takes secrets out of whatever is logged', () => {
    const lines = logged((log) => {
      log.info({ reason: 'no hunter2', list: ['hunter2'] }, 'it is hunter2');
      log.child({ who: 'hunter2' }).warn({ err: new Error('hunter2') });
      log.error({ err: { password: 'hunter2' } });
    });
    expect(lines).not.toContain('hunter2');
    expect(
      lines
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { level: number }).level),
    ).toEqual([30, 40, 50]);
  });

  it('ends with a chain of causes that has no end', () => {
    const error = new Error('round');
    error.cause = error;
    expect(JSON.parse(logged((log) => log.warn({ err: error })))).toHaveProperty(
      'err.cause.cause.message',
      'round',
    );
  });
});
