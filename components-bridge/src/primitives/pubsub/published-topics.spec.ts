import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';

import { PublishedTopics } from './published-topics.js';

let dir: string;
let lines: string[];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'published-'));
  lines = [];
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const file = (): string => join(dir, 'published.json');

async function opened(at = file()): Promise<PublishedTopics> {
  const topics = new PublishedTopics({
    file: at,
    log: pino({}, { write: (line: string) => void lines.push(line) }),
  });
  await topics.load();
  return topics;
}

const names = (topics: PublishedTopics): string[] => topics.all.map(({ topic }) => topic).sort();

it('are known after a restart, with their types', async () => {
  const before = await opened();
  before.add('events', 'orders', 'text/plain', false);
  before.add('events', 'orders', 'image/png', true);
  await before.close();
  const after = await opened();
  expect(after.all).toEqual([
    { pubsub: 'events', topic: 'orders', types: ['text/plain'], rawTypes: ['image/png'] },
  ]);
});

it('are written down when a type is new, for the owner only, in a file that takes the place of the one before', async () => {
  const first = await opened();
  first.add('events', 'orders', 'text/plain', false);
  await first.close();
  const { ino, mode } = await stat(file());
  expect(mode & 0o777).toBe(0o600);
  const second = await opened();
  second.add('events', 'orders', 'image/png', false);
  await second.close();
  // A reader has the whole of one of them.
  expect((await stat(file())).ino).not.toBe(ino);
  expect((await opened()).all).toEqual([
    { pubsub: 'events', topic: 'orders', types: ['text/plain', 'image/png'], rawTypes: [] },
  ]);
});

it('of two bridges at the same time are both kept', async () => {
  const one = await opened();
  const other = await opened();
  one.add('events', 'a', 'text/plain', false);
  other.add('events', 'b', 'text/plain', false);
  await one.close();
  await other.close();
  expect(names(await opened())).toEqual(['a', 'b']);
});

it('are bounded; those of an earlier bridge make room', async () => {
  const before = await opened();
  for (let n = 0; n < 1_010; n++) before.add('events', `old ${n}`, 'text/plain', false);
  before.add('events', 'x'.repeat(257), 'text/plain', false);
  await before.close();
  expect(before.all).toHaveLength(1_000);
  const after = await opened();
  expect(after.all).toHaveLength(1_000);
  after.add('events', 'old 3', 'text/plain', false);
  for (let n = 0; n < 999; n++) after.add('events', `new ${n}`, 'text/plain', false);
  after.add('events', 'one more', 'text/plain', false);
  expect(after.all).toHaveLength(1_000);
  expect(names(after).filter((name) => !name.startsWith('new'))).toEqual(['old 3']);
});

it.each(['', '{', '[]', '{"topics":5}', '{"topics":[null,1,{"pubsub":"a"}]}'])(
  'of a file that is none of ours are none: %s',
  async (text) => {
    await writeFile(file(), text);
    const topics = await opened();
    expect(topics.all).toEqual([]);
    topics.add('events', 'orders', 'text/plain', false);
    await topics.close();
    expect(JSON.parse(await readFile(file(), 'utf8'))).toMatchObject({ topics: [{ topic: 'orders' }] });
  },
);

it('that cannot be written down are said so once', async () => {
  const topics = await opened(join(dir, 'nowhere', 'published.json'));
  topics.add('events', 'a', 'text/plain', false);
  await topics.close();
  topics.add('events', 'b', 'text/plain', false);
  await topics.close();
  expect(names(topics)).toEqual(['a', 'b']);
  expect(lines.filter((line) => line.includes('cannot be written down'))).toHaveLength(1);
});
