import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';

import { Rooms } from '../../../../test/support/rooms.js';
import type { RoomComponent } from '../../../../test/support/rooms.js';
import { eventually } from '../../../../test/support/wait.js';
import type { Component, ComponentContext, ComponentType } from '../component.js';
import type { ComponentSlot } from '../slot.js';

/** A component that remembers what it was opened with. */
interface Opened extends Component {
  password: string;
  closed: boolean;
}

describe('metadata from secret stores', () => {
  let folder: string;
  let secretsFile: string;
  let opened: Opened[];
  /** Passwords that the backend takes. */
  let good: Set<string>;
  let rooms: Rooms;

  const type: ComponentType = {
    type: 'hello.test',
    primitive: 'hello',
    capabilities: [],
    metadata: z.strictObject({
      host: z.string(),
      password: z.string().regex(/^[a-z0-9-]+$/, 'expected small letters'),
    }),
    load: () => Promise.resolve({ open }),
  };

  async function open({ metadata, log }: ComponentContext): Promise<Component> {
    const { password = '' } = metadata;
    log.info({ metadata }, 'a component that says too much');
    if (!good.has(password)) throw new Error(`the server does not take ${password}`);
    const component: Opened = {
      password,
      closed: false,
      async close() {
        this.closed = true;
      },
    };
    opened.push(component);
    return component;
  }

  const needy = (ref: { store?: string; name?: string; key?: string } = {}): RoomComponent => ({
    name: 'needy',
    type: 'hello.test',
    metadata: { host: 'h' },
    secretRefs: [{ injectAs: 'password', store: 'vault', name: 'redis', key: 'redis', ...ref }],
  });
  const vault: RoomComponent = { name: 'vault', type: 'secretstores.local.file' };

  async function write(secrets: unknown): Promise<void> {
    await writeFile(`${secretsFile}.new`, JSON.stringify(secrets));
    await rename(`${secretsFile}.new`, secretsFile);
  }

  async function start(...components: RoomComponent[]): Promise<void> {
    const all = components.map((component) =>
      component.name === 'vault' ? { ...component, metadata: { secretsFile } } : component,
    );
    rooms = await Rooms.open(all, { types: [type], wait: false });
  }

  function slot(): ComponentSlot {
    const found = rooms.registry.find('hello', 'needy');
    if (found === undefined) throw new Error('no component');
    return found;
  }

  const reason = (text: string) =>
    eventually(`the reason is ${text}`, () => {
      if (slot().reason !== text) throw new Error(slot().reason);
      return true;
    });
  const ready = () => eventually('the component is ready', () => slot().instance !== undefined);

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'references-'));
    secretsFile = join(folder, 'secrets.json');
    opened = [];
    good = new Set(['hush-hush-1', 'hush-hush-2']);
    await write({ redis: 'hush-hush-1', other: 'NOT GOOD' });
  });

  afterEach(async () => {
    await rooms.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('is there when the component is opened, whichever comes first', async () => {
    await start(needy(), vault);
    await ready();
    expect(opened.map(({ password }) => password)).toEqual(['hush-hush-1']);
  });

  it('is neither in the configuration nor in the log nor in a reason', async () => {
    good.clear();
    await start(vault, needy());
    await reason('the server does not take [redacted]');
    expect(JSON.stringify(slot().config)).not.toContain('hush');
    const said = rooms.log.filter((line) => line.includes('hush')).map((line) => rooms.secrets.redact(line));
    expect(said.join('')).not.toContain('hush');
    expect(JSON.stringify(rooms.registry.health())).not.toContain('hush');
  });

  it.each([
    [{ store: 'nope' }, 'password: there is no secret store "nope"'],
    [{ name: 'nope' }, 'password: the secret store "vault" has no secret "nope"'],
    [{ key: 'nope' }, 'password: the secret "redis" of the secret store "vault" has no key "nope"'],
    [{ name: 'other', key: 'other' }, 'password: expected small letters, found something else'],
  ])('that is missing or no good is named: %p', async (ref, text) => {
    await start(vault, needy(ref));
    await reason(text);
    // Everything else goes on.
    expect(rooms.registry.find('secret', 'vault')?.instance).toBeDefined();
  });

  it('that is missing is waited for', async () => {
    await rm(secretsFile);
    await start(vault, needy());
    await eventually('the component waits', () => slot().reason.includes('"vault" is not ready: '));
    await write({ other: 'x' });
    await reason('password: the secret store "vault" has no secret "redis"');
    await write({ redis: 'hush-hush-2' });
    await ready();
    expect(opened.map(({ password }) => password)).toEqual(['hush-hush-2']);
  });

  it('that changes is used from then on, without a moment in which there is none', async () => {
    await start(vault, needy());
    await ready();
    await rooms.registry.renew();
    expect(opened).toHaveLength(1);
    await write({ redis: 'hush-hush-2' });
    const before = slot();
    await rooms.registry.renew();
    await eventually('the new one serves', () => slot() !== before && slot().instance !== undefined);
    expect(opened.map(({ password }) => password)).toEqual(['hush-hush-1', 'hush-hush-2']);
    await eventually('the old one is closed', () => opened[0]?.closed);
    expect(opened[1]?.closed).toBe(false);
  });

  it('that changes to something that is no good leaves the component as it is, until it is good', async () => {
    await start(vault, needy());
    await ready();
    await write({ redis: 'not-yet-known' });
    const before = slot();
    await rooms.registry.renew();
    await eventually('the new one was tried', () =>
      rooms.log.some((line) => line.includes('the old ones go on serving')),
    );
    expect(slot()).toBe(before);
    expect(slot().instance).toBeDefined();
    good.add('not-yet-known');
    await eventually('the new one serves', () => slot() !== before);
  });

  it('that is gone leaves the component as it is', async () => {
    await start(vault, needy());
    await ready();
    await write({});
    const before = slot();
    await rooms.registry.renew();
    await rooms.registry.renew();
    expect(slot()).toBe(before);
    const warnings = rooms.log.filter((line) => line.includes('its secrets cannot be read again'));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('has no secret');
  });
});
