import { sleep } from '../../../test/support/wait.js';
import type { ComponentHealth } from '../primitives/slot.js';
import { ComponentHistory } from './component-history.js';

const health = (status: ComponentHealth['status'], name = 's'): ComponentHealth => ({
  primitive: 'state',
  name,
  type: 'state.redis',
  status,
});

describe('ComponentHistory', () => {
  it('knows since when a component has its status, whatever its reason', async () => {
    const history = new ComponentHistory();
    const [first] = history.of([health('connecting')]);
    await sleep(5);
    history.note({ ...health('down'), reason: 'a' });
    const [down] = history.of([health('down')]);
    expect(down?.since.getTime()).toBeGreaterThan(first?.since.getTime() ?? Infinity);
    await sleep(5);
    history.note({ ...health('down'), reason: 'b' });
    expect(history.of([health('down')])[0]?.since).toEqual(down?.since);
  });

  it('counts how often it came back, and not how often it changed', () => {
    const history = new ComponentHistory();
    const reconnects = (): number | undefined => history.of([health('ready')])[0]?.reconnects;
    expect(reconnects()).toBe(0);
    for (const status of ['connecting', 'ready'] as const) history.note(health(status));
    expect(reconnects()).toBe(0);
    for (const status of ['down', 'ready', 'ready', 'down', 'ready'] as const) history.note(health(status));
    expect(reconnects()).toBe(2);
  });

  it('forgets components that are gone', () => {
    const history = new ComponentHistory();
    for (const status of ['ready', 'down', 'ready'] as const) history.note(health(status));
    expect(history.of([health('ready', 'other')])).toMatchObject([{ name: 'other', reconnects: 0 }]);
    expect(history.of([health('ready')])[0]?.reconnects).toBe(0);
  });
});
