import { Call } from './call.js';
import type { Handler } from './handler.js';
import { LazyService } from './lazy-service.js';
import type { MessageStream, StreamHandler } from './stream.js';

const NAME = 'layotto.bridge.v1.Echo';
const PATH = '/spec.proto.runtime.v1.Runtime/Echo';

/** A service that answers with what it was sent, later; and how often it was loaded. */
function echo(failures = 0) {
  const seen = { loads: 0, streams: 0 };
  const handlers = new Map<string, Handler>([[`${NAME}/Say`, async (payload) => Uint8Array.from(payload)]]);
  const streams = new Map<string, StreamHandler>([[PATH, async () => void seen.streams++]]);
  const service = new LazyService({
    name: NAME,
    methods: ['Say'],
    streams: [PATH],
    load: async () => {
      seen.loads++;
      if (seen.loads <= failures) throw new Error('the file is gone');
      return { name: NAME, handlers, streams };
    },
  });
  const say = (payload: Uint8Array) => {
    const handler = service.handlers.get(`${NAME}/Say`);
    if (handler === undefined) throw new Error('no handler');
    return handler(payload, new Call(`${NAME}/Say`, '', 0));
  };
  return { seen, service, say };
}

describe('a service that is loaded on first use', () => {
  it('says what it serves before it is loaded', () => {
    const { seen, service } = echo();
    expect([...service.handlers.keys()]).toEqual([`${NAME}/Say`]);
    expect([...service.streams.keys()]).toEqual([PATH]);
    expect(seen.loads).toBe(0);
  });

  it('is loaded once, however many call at first', async () => {
    const { seen, say } = echo();
    await Promise.all([say(Buffer.from('a')), say(Buffer.from('b'))]);
    await say(Buffer.from('c'));
    expect(seen.loads).toBe(1);
  });

  it('keeps the bytes of a call that waits for it, which are lent only', async () => {
    const { say } = echo();
    const lent = Buffer.from('mine');
    const answer = say(lent);
    lent.fill(0);
    expect(Buffer.from(await answer).toString()).toBe('mine');
  });

  it('hands bytes on as they are once it is loaded', async () => {
    const { service, say } = echo();
    await service.load();
    expect(Buffer.from(await say(Buffer.from('again'))).toString()).toBe('again');
  });

  it('fails the calls that wait for it if it cannot be loaded, and tries again with the next', async () => {
    const { seen, say } = echo(1);
    await expect(say(Buffer.from('a'))).rejects.toThrow('the file is gone');
    expect(Buffer.from(await say(Buffer.from('b'))).toString()).toBe('b');
    expect(seen.loads).toBe(2);
  });

  it('serves streams too', async () => {
    const { seen, service } = echo();
    await service.streams.get(PATH)?.({} as MessageStream);
    expect(seen).toEqual({ loads: 1, streams: 1 });
  });
});
