import { Code } from '../../components-bridge/src/primitives/errors.js';
import type { Change } from '../../components-bridge/src/primitives/configuration/watched-query.js';
import { Rooms } from '../support/rooms.js';
import type { RoomComponent } from '../support/rooms.js';
import { eventually, sleep } from '../support/wait.js';
import { conformance } from './backends.js';
import type { Subject } from './backends.js';
import { Client } from './configuration-client.js';
import type { Query, Recorder } from './configuration-client.js';
import { refused } from './state-client.js';

/** A backend that a configuration store is tested on. It starts empty. */
export interface ConfigurationBackend {
  /** The store that is tested. */
  component: Omit<RoomComponent, 'name'>;
  /** What a blank group and label stand for. */
  defaults: { group: string; label: string };
  /** Groups beside the default one that can be used, at least two. Default: any name. */
  groups?: readonly string[];
  /** The store has a name for each state of an item. Default true. */
  versions?: boolean;
  /** Characters that a content may have. Default 100000. */
  longestContent?: number;
  /** Keys of any characters can be used; otherwise those that cannot are refused. Default true. */
  anyKeys?: boolean;
  /** A connection that can be lost; undefined: there is none. */
  connection?: {
    /** From now on nothing goes through, and what is open breaks. */
    cut(): Promise<void> | void;
    /** From now on it can be had again. */
    restore(): Promise<void> | void;
    /** The same data, by a way that `cut` leaves alone. */
    direct: Omit<RoomComponent, 'name'>;
  };
  /** How soon a change by somebody else is told, in milliseconds. Default 1000. */
  noticeMs?: number;
  stop(): Promise<void>;
}

/** Within this time after a lost connection can be had again, everything that changed meanwhile must be told. */
const CATCH_UP_MS = 2_000;

/** What every configuration store must do, whatever it is made of. A new store is one call of this. */
export function configurationConformance(subject: Subject, start: () => Promise<ConfigurationBackend>): void {
  conformance('configuration', subject, () => {
    let backend: ConfigurationBackend;
    let rooms: Rooms;
    let store: Client;
    /** Somebody else who uses the same data. */
    let other: Client;
    let group: string;
    let otherGroup: string;
    const followers: Recorder[] = [];

    beforeAll(async () => {
      backend = await start();
      const direct = backend.connection?.direct;
      rooms = await Rooms.open([
        { ...backend.component, name: 'configs' },
        ...(direct === undefined ? [] : [{ ...direct, name: 'direct' }]),
      ]);
      store = new Client(rooms, 'configs');
      other = new Client(rooms, direct === undefined ? 'configs' : 'direct');
      [group = 'a group', otherGroup = 'another/group|%'] = backend.groups ?? [];
    });

    afterEach(() => {
      for (const follower of followers.splice(0)) follower.close();
    });

    afterAll(async () => {
      await rooms?.close();
      await backend?.stop();
    });

    const follow = (query?: Query, client = store): Promise<Recorder> => {
      const follower = client.follow(query);
      followers.push(follower);
      return follower.started();
    };

    const within = (ms: number) => ({ timeoutMs: ms, everyMs: 5 });

    it('gives what was saved, and leaves out what is not there', async () => {
      await store.save({ key: 'one', content: 'first' }, { key: 'two', content: 'second' });
      expect(await store.contents({ keys: ['two', 'absent', 'one'] })).toEqual({
        one: 'first',
        two: 'second',
      });
      const [item] = await store.get({ keys: ['one', 'one'] });
      expect(item).toMatchObject({ key: 'one', ...backend.defaults, tags: {} });
    });

    it('takes a name of spaces for the default', async () => {
      await store.save({ key: 'spaces', content: 'x', group: ' ', label: '  ' });
      expect(await store.contents({ keys: ['spaces'] })).toEqual({ spaces: 'x' });
      expect(await store.contents({ keys: ['spaces'], group: ' ', label: ' ' })).toEqual({ spaces: 'x' });
    });

    it('gives an item another version with each save', async () => {
      const versions = new Set<string>();
      for (const content of ['a', 'b', 'b']) {
        await store.save({ key: 'versioned', content });
        const [item] = await store.get({ keys: ['versioned'] });
        expect(item?.content).toBe(content);
        versions.add(item?.version ?? '');
      }
      // Nobody may take a name that is always the same for the name of a state.
      if (backend.versions === false) expect([...versions]).toEqual(['']);
      else expect(versions.size).toBe(3);
    });

    it.each([
      ['empty', ''],
      ['of many lines', 'a: 1\n\tb: "2"\r\n'],
      ['with bars', 'a || b || 3'],
      ['beyond ASCII', 'größer 大 𝄞 \u0000'],
      ['long', 'x'.repeat(100_000)],
    ])('keeps a content that is %s', async (what, given) => {
      const content = given.slice(0, backend.longestContent);
      const key = `content-${what.replaceAll(' ', '-')}`;
      await store.save({ key, content });
      const [item] = await store.get({ keys: [key] });
      expect(item?.content === content).toBe(true);
    });

    it('keeps tags, and replaces them with the item', async () => {
      await store.save({ key: 'tagged', content: 'x', tags: { env: 'prod', 'a b/c': 'ü||' } });
      const tagsOf = async (): Promise<unknown> => (await store.get({ keys: ['tagged'] }))[0]?.tags;
      expect(await tagsOf()).toEqual({ env: 'prod', 'a b/c': 'ü||' });
      await store.save({ key: 'tagged', content: 'x', tags: { env: 'test' } });
      expect(await tagsOf()).toEqual({ env: 'test' });
      await store.save({ key: 'tagged', content: 'x' });
      expect(await tagsOf()).toEqual({});
    });

    it('keeps groups and labels apart', async () => {
      const places = [
        { group, label: 'blue' },
        { group, label: 'green' },
        { group: otherGroup, label: 'blue' },
        {},
      ];
      await store.save(...places.map((place, i) => ({ ...place, key: 'apart', content: String(i) })));
      for (const [i, place] of places.entries()) {
        expect(await store.contents({ ...place, keys: ['apart'] })).toEqual({ apart: String(i) });
      }
      await store.delete({ group, label: 'blue', keys: ['apart'] });
      expect(await store.contents({ group, label: 'blue', keys: ['apart'] })).toEqual({});
      expect(await store.contents({ group, label: 'green', keys: ['apart'] })).toEqual({ apart: '1' });
    });

    it('gives all of a group and label without keys', async () => {
      await store.save(
        { key: 'l1', content: '1', group, label: 'list' },
        { key: 'l2', content: '2', group, label: 'list', tags: { a: 'b' } },
        { key: 'l3', content: '3', group, label: 'list 2' },
        { key: 'l4', content: '4', group: otherGroup, label: 'list' },
      );
      expect(await store.contents({ group, label: 'list' })).toEqual({ l1: '1', l2: '2' });
    });

    it('gives those of any group, or any label, for *', async () => {
      await store.save(
        { key: 'star', content: '1', group, label: 'star' },
        { key: 'star', content: '2', group, label: 'star 2' },
        { key: 'star', content: '3', group: otherGroup, label: 'star' },
      );
      const found = async (query: Query): Promise<string[]> =>
        (await store.get({ ...query, keys: ['star'] })).map(({ content }) => content).sort();
      expect(await found({ group, label: '*' })).toEqual(['1', '2']);
      expect(await found({ group: '*', label: 'star' })).toEqual(['1', '3']);
      expect(await found({ group: '*', label: '*' })).toEqual(['1', '2', '3']);
    });

    it('takes keys of any characters', async () => {
      if (backend.anyKeys === false) {
        for (const key of ['a/b', 'line\nbreak']) {
          const { code } = await refused(store.save({ key, content: 'x', group, label: 'odd' }));
          expect(code).toBe(Code.INVALID_ARGUMENT);
        }
        expect(await store.contents({ group, label: 'odd' })).toEqual({});
        return;
      }
      const keys = [
        'a/b',
        'a',
        'a||b',
        'sp ace',
        '*',
        '[x]',
        'größe',
        '%2F',
        '"quoted"',
        "it's",
        'k'.repeat(2_500),
      ];
      await store.save(...keys.map((key, i) => ({ key, content: String(i), group, label: 'odd' })));
      const contents = await store.contents({ group, label: 'odd' });
      expect(contents).toEqual(Object.fromEntries(keys.map((key, i) => [key, String(i)])));
      for (const [i, key] of keys.entries()) {
        expect(await store.contents({ group, label: 'odd', keys: [key] })).toEqual({ [key]: String(i) });
      }
    });

    it('deletes the keys that are named, and no others', async () => {
      await store.save({ key: 'd1', content: '1', tags: { a: 'b' } }, { key: 'd2', content: '2' });
      await store.delete({ keys: ['d1', 'absent'] });
      await store.delete({ keys: [] });
      expect(await store.contents({ keys: ['d1', 'd2'] })).toEqual({ d2: '2' });
      await store.save({ key: 'd1', content: 'again' });
      expect((await store.get({ keys: ['d1'] }))[0]).toMatchObject({ content: 'again', tags: {} });
    });

    it('refuses to write without a key, or to any group or label', async () => {
      expect(await refused(store.save({ key: '', content: 'x' }))).toMatchObject({
        code: Code.INVALID_ARGUMENT,
      });
      expect(await refused(store.save({ key: 'k', content: 'x', group: '*' }))).toMatchObject({
        code: Code.INVALID_ARGUMENT,
      });
      expect(await refused(store.delete({ keys: ['k'], label: '*' }))).toMatchObject({
        code: Code.INVALID_ARGUMENT,
      });
    });

    it('tells what is added, changed and deleted, whoever did it, and nothing else', async () => {
      await other.save({ key: 'w1', content: '1' }, { key: 'w2', content: '2' }, { key: 'w3', content: '3' });
      const follower = await follow({ keys: ['w1', 'w2', 'new'] });
      await other.save({ key: 'w1', content: 'changed', tags: { a: 'b' } }, { key: 'new', content: 'added' });
      await other.delete({ keys: ['w2'] });
      await other.save({ key: 'w3', content: 'not followed' });
      await other.save({ key: 'w1', content: 'elsewhere', group, label: 'blue' });
      const all = { w1: 'changed', new: 'added', w2: undefined };
      await eventually(
        'all is told',
        () => Object.keys(follower.latest).length === 3,
        within(backend.noticeMs ?? 1_000),
      );
      expect(follower.latest).toEqual(all);
      const last = (key: string): Change | undefined =>
        follower.told.findLast(({ item }) => item.key === key);
      expect(last('w1')?.item).toMatchObject({ tags: { a: 'b' }, ...backend.defaults });
      expect(last('w2')?.item).toMatchObject(backend.defaults);
      await other.save({ key: 'w1', content: 'end' });
      await eventually(
        'the end is told',
        () => follower.latest.w1 === 'end',
        within(backend.noticeMs ?? 1_000),
      );
      expect(Object.keys(follower.latest).sort()).toEqual(['new', 'w1', 'w2']);
    });

    it('tells of every key of a group and label, of new ones too', async () => {
      await other.save({ key: 'g1', content: '1', group, label: 'followed' });
      const follower = await follow({ group, label: 'followed' });
      await other.save({ key: 'g2', content: '2', group, label: 'followed' });
      await other.save({ key: 'g3', content: '3', group: otherGroup, label: 'followed' });
      await other.delete({ keys: ['g1'], group, label: 'followed' });
      await eventually(
        'both are told',
        () => Object.keys(follower.latest).length === 2,
        within(backend.noticeMs ?? 1_000),
      );
      expect(follower.latest).toEqual({ g1: undefined, g2: '2' });
    });

    it('tells each change once, and every follower of a query by one watch', async () => {
      const before = rooms.watches.size;
      const first = await follow({ keys: ['shared', 'b'] });
      const second = await follow({ keys: ['b', 'shared', 'b'] });
      expect(rooms.watches.size).toBe(before + 1);
      await other.save({ key: 'shared', content: 'x' });
      for (const { told } of [first, second]) {
        await eventually('it is told', () => told.length > 0, within(backend.noticeMs ?? 1_000));
      }
      first.close();
      await other.save({ key: 'shared', content: 'y' });
      await eventually('it goes on', () => second.latest.shared === 'y', within(backend.noticeMs ?? 1_000));
      expect(second.told.map(({ item }) => item.content)).toEqual(['x', 'y']);
      expect(first.told.map(({ item }) => item.content)).toEqual(['x']);
      second.close();
      expect(rooms.watches.size).toBe(before);
    });

    it('proves that it hears', async () => {
      const follower = await follow({ keys: ['proof'] });
      await other.save({ key: 'proof', content: 'x' });
      await eventually('it is told', () => follower.latest.proof === 'x', within(backend.noticeMs ?? 1_000));
      const at = performance.now();
      await eventually('it is known to be current', async () => {
        expect(await rooms.watches.confirm('configs')).toBe(true);
        return follower.following.query.currentAt >= at;
      });
    });

    it('tells after a lost connection what changed meanwhile', async () => {
      const { connection } = backend;
      if (connection === undefined) return;
      await other.save({ key: 'c1', content: '1' }, { key: 'c2', content: '2' }, { key: 'c3', content: '3' });
      const follower = await follow({ keys: ['c1', 'c2', 'c3', 'c4'] });
      const everything = await follow({});
      await connection.cut();
      await eventually('the loss is known', async () => !(await rooms.watches.confirm('configs')));
      expect(await refused(store.get({ keys: ['c1'] }))).toMatchObject({ code: Code.UNAVAILABLE });
      for (const content of ['lost', 'latest']) await other.save({ key: 'c1', content });
      await other.delete({ keys: ['c2'] });
      await other.save({ key: 'c4', content: 'added' });
      const late = await follow({ keys: ['c1', 'c3'] });
      await sleep(300);
      const meanwhile = { c1: 'latest', c2: undefined, c4: 'added' };
      await connection.restore();
      const restored = performance.now();
      await eventually('it is told', () => Object.keys(follower.latest).length === 3, within(CATCH_UP_MS));
      await eventually(
        'the others are told',
        () => late.told.length === 2 && everything.told.length === 3,
        within(CATCH_UP_MS),
      );
      expect(performance.now() - restored).toBeLessThan(CATCH_UP_MS);
      expect(follower.latest).toEqual(meanwhile);
      expect(everything.latest).toEqual(meanwhile);
      // Who could not be told what was there when it came is told everything.
      expect(late.latest).toEqual({ c1: 'latest', c3: '3' });
      expect(follower.told).toHaveLength(3);
      await eventually('it serves again', () => store.contents({ keys: ['c1'] }));
      await other.save({ key: 'c3', content: 'after' });
      await eventually('it hears again', () => late.latest.c3 === 'after', within(backend.noticeMs ?? 1_000));
    });
  });
}
