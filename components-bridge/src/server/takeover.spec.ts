import { lstat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Server } from 'node:net';

import { SessionFixture } from '../../../test/support/session-fixture.js';
import { eventually, sleep } from '../../../test/support/wait.js';
import { Kind } from '../gen/layotto/bridge/v1/session_pb.js';
import { Predecessor } from './predecessor.js';
import type { SessionServer } from './session.js';
import { listenOnSocket, SocketInUseError } from './socket.js';

describe('taking over a socket', () => {
  const bridge = new SessionFixture();
  /** Bridges before the newest one. */
  let before: SessionServer[];
  let asked: number;

  beforeEach(async () => {
    await bridge.begin();
    before = [];
    asked = 0;
    await bridge.start({ onTakenOver: () => asked++ });
  });

  afterEach(async () => {
    await Promise.all(before.map((server) => server.close()));
    await bridge.end();
  });

  /** Starts another bridge in the place of the running one, which it asks to go. */
  async function takeOver(): Promise<string | undefined> {
    const predecessor = await Predecessor.find(bridge.socketPath);
    before.push(bridge.server);
    await bridge.start({ onTakenOver: () => asked++ }, true);
    const refusal = await predecessor?.dismiss();
    predecessor?.close();
    return refusal;
  }

  it('new sessions come to the new one, while the old one serves its own', async () => {
    const old = bridge.session();
    await old.hello();
    expect(await takeOver()).toBeUndefined();
    expect(asked).toBe(1);
    const next = bridge.session();
    next.request(1, 'echo', Buffer.from('new'));
    await next.result(1);
    old.request(1, 'echo', Buffer.from('old'));
    await old.result(1);
    expect([before[0]?.open, bridge.server.open]).toEqual([1, 1]);
  });

  it('the old one says GOAWAY, serves until its filters have left, and leaves the socket alone', async () => {
    const old = bridge.session();
    await old.hello();
    await takeOver();
    const [server] = before;
    let over = false;
    const drained = server?.drain(20_000).then(() => (over = true));
    await old.frame(Kind.GOAWAY);
    // Longer than a bridge without a successor would wait for more.
    await sleep(300);
    old.request(1, 'echo', Buffer.from('still here'));
    await old.result(1);
    expect([over, old.of(Kind.GOAWAY).length]).toEqual([false, 1]);
    // New streams on its connections would come to it, so none can be opened.
    expect(() => old.connection.request({ ':path': '/' })).toThrow('GOAWAY');
    old.close();
    await drained;
    await bridge.session().hello();
  });

  it('the old one says it again at the end of its grace, for filters that stay', async () => {
    const old = bridge.session();
    await old.hello();
    await takeOver();
    const drained = before[0]?.drain(200);
    await eventually('it is said twice', () => old.of(Kind.GOAWAY).length === 2);
    expect(await old.ended()).toEqual({ code: 0, message: '' });
    await drained;
  });

  it('is refused while the path leads to the one that is asked', async () => {
    const predecessor = await Predecessor.find(bridge.socketPath);
    expect(await predecessor?.dismiss()).toBe(`it refused: ${bridge.socketPath} leads to this bridge`);
    predecessor?.close();
    expect(asked).toBe(0);
  });

  it('can happen again and again, and the last one removes the socket', async () => {
    for (let round = 0; round < 3; round++) {
      await takeOver();
      await before.at(-1)?.drain(1_000);
      await bridge.session().hello();
    }
    expect(asked).toBe(3);
    await bridge.server.close();
    await expect(lstat(bridge.socketPath)).rejects.toThrow('ENOENT');
  });

  it('finds nobody where nobody is, and says of one that hangs that it did not answer', async () => {
    expect(await Predecessor.find(`${bridge.socketPath}.none`)).toBeUndefined();
    const deaf = createServer();
    await new Promise<void>((resolve) => deaf.listen(`${bridge.socketPath}.deaf`, resolve));
    try {
      const found = await Predecessor.find(`${bridge.socketPath}.deaf`);
      expect(await found?.dismiss()).toBe('it did not answer');
      found?.close();
    } finally {
      deaf.close();
    }
  });

  it('warns of filters that do not come with a new configuration', async () => {
    const lags = bridge.session({ hello: { configVersion: 'abc' } });
    await lags.hello();
    await eventually('it is known', () => bridge.logged.some(({ msg }) => msg === 'session open'));
    bridge.server.reconfigured('def');
    // It may have been told before the bridge was.
    await bridge.session({ hello: { configVersion: 'abc' } }).hello();
    const follows = bridge.session({ hello: { configVersion: 'def' } });
    expect((await follows.hello()).configVersion).toBe('def');
    const warnings = (): object[] => bridge.logged.filter(({ level }) => level === 40);
    expect(warnings()).toEqual([]);
    await eventually('it is said', () => warnings().length > 0);
    const lagging = { filter: { configVersion: 'abc' }, bridge: { configVersion: 'def', version: '1.2.3' } };
    expect(warnings()).toMatchObject([lagging, lagging]);
    await bridge.session({ hello: { configVersion: 'abc' } }).hello();
    await eventually('one that comes later is named at once', () => warnings().length === 3);
  });
});

describe('listenOnSocket', () => {
  const fixture = new SessionFixture();
  const servers: Server[] = [];

  beforeEach(() => fixture.begin());
  afterEach(async () => {
    for (const server of servers.splice(0)) server.close();
    await fixture.end();
  });

  function server(): Server {
    const made = createServer((socket) => socket.destroy());
    servers.push(made);
    return made;
  }

  it('lets one of several have the socket', async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 5 }, () => listenOnSocket(server(), fixture.socketPath)),
    );
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(4);
    for (const outcome of refused)
      expect((outcome as PromiseRejectedResult).reason).toBeInstanceOf(SocketInUseError);
  });

  it('replaces a socket, but nothing else', async () => {
    await writeFile(fixture.socketPath, 'precious');
    await expect(listenOnSocket(server(), fixture.socketPath, { replace: true })).rejects.toThrow(
      'is not a socket',
    );
  });

  it('removes a socket only while it is its own', async () => {
    const first = await listenOnSocket(server(), fixture.socketPath);
    expect(first.replaced).toBe(false);
    const second = await listenOnSocket(server(), fixture.socketPath, { replace: true });
    expect([first.replaced, second.replaced]).toEqual([true, false]);
    first.remove();
    expect((await lstat(fixture.socketPath)).isSocket()).toBe(true);
    second.remove();
    second.remove();
    await expect(lstat(fixture.socketPath)).rejects.toThrow('ENOENT');
    expect(second.replaced).toBe(false);
  });
});
