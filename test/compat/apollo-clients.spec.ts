import apollo from 'ctrip-apollo';
import { once } from 'node:events';

import { ApolloStandIn, ENV, TOKEN, USER } from '../../tools/apollo/stand-in.js';
import { eventually } from '../support/wait.js';

/** Apollo's client for Node, and what no recording shows, against the stand-in. Its clients for Java: `make test-java`. */

let standIn: ApolloStandIn;

beforeAll(async () => {
  standIn = await ApolloStandIn.start({ configServices: 2, holdMs: 400 });
  standIn.createApp('shop');
});

afterAll(() => standIn?.stop());

/** Asks for changes since `notificationId`. */
function poll(notificationId: number, service = 0): Promise<Response> {
  const asked = JSON.stringify([{ namespaceName: 'application', notificationId }]);
  const query = new URLSearchParams({ appId: 'shop', cluster: 'default', notifications: asked });
  return fetch(`${standIn.configServices[service]?.url ?? ''}/notifications/v2?${query.toString()}`);
}

async function lastId(): Promise<number> {
  await eventually('every message is sent', () => !standIn.database.sending);
  const [{ notificationId } = { notificationId: -1 }] = (await (await poll(-1)).json()) as {
    notificationId: number;
  }[];
  return notificationId;
}

describe("Apollo's client for Node", () => {
  it('reads, and hears of changes, additions and deletions', async () => {
    standIn.release('shop', 'application', { greeting: 'hello', gone: 'soon' });
    const cluster = apollo({ host: standIn.meta, appId: 'shop' }).cluster();
    const namespace = cluster.namespace();
    try {
      await namespace.ready();
      expect(namespace.get('greeting')).toBe('hello');
      await eventually('it waits for changes', () =>
        standIn.configServices[0]?.seen.some((line) => line.startsWith('GET /notifications/v2')),
      );
      const events = ['change', 'add', 'delete'].map((name) => once(namespace, name));
      standIn.release('shop', 'application', { greeting: 'bonjour', fruit: 'apple', gone: undefined });
      const [[changed], [added], [deleted]] = (await Promise.all(events)) as [[object], [object], [object]];
      expect(changed).toEqual({ key: 'greeting', oldValue: 'hello', newValue: 'bonjour' });
      expect(added).toMatchObject({ key: 'fruit', value: 'apple' });
      expect(deleted).toMatchObject({ key: 'gone' });
    } finally {
      cluster.enableUpdateNotification(false);
    }
  });
});

describe('those who wait for changes', () => {
  it('are woken by a release, whichever service they ask', async () => {
    standIn.release('shop', 'application', { fruit: 'pear' });
    const id = await lastId();
    const started = performance.now();
    const waiting = [0, 1].map((service) => poll(id, service));
    await eventually('both wait', () =>
      standIn.configServices.every(({ seen }) => seen.some((line) => line.includes(`A${id}%7D`))),
    );
    standIn.release('shop', 'application', { fruit: 'plum' });
    for (const answer of await Promise.all(waiting)) {
      expect(answer.status).toBe(200);
      expect(await answer.json()).toMatchObject([{ namespaceName: 'application', notificationId: id + 1 }]);
    }
    expect(performance.now() - started).toBeLessThan(390);
  });

  it('are told after a while that nothing has changed', async () => {
    const id = await lastId();
    const started = performance.now();
    expect((await poll(id)).status).toBe(304);
    expect(performance.now() - started).toBeGreaterThanOrEqual(390);
  });
});

describe('a service', () => {
  it('comes back where it was, and is announced only while it runs', async () => {
    const announced = async (): Promise<string[]> => {
      const answer = await fetch(`${standIn.meta}/services/config`);
      return ((await answer.json()) as { homepageUrl: string }[]).map(({ homepageUrl }) => homepageUrl);
    };
    const [first, second] = standIn.configServices;
    expect(await announced()).toEqual([`${first?.url}/`, `${second?.url}/`]);
    const waiting = poll(await lastId(), 1);
    await second?.stop();
    await expect(waiting).rejects.toThrow();
    await expect(fetch(`${second?.url}/services/config`)).rejects.toThrow();
    expect(await announced()).toEqual([`${first?.url}/`]);
    await second?.start();
    expect(await announced()).toHaveLength(2);
    expect((await poll(-1, 1)).status).toBe(200);
  });

  it('misbehaves as it is told to', async () => {
    const [service] = standIn.configServices;
    if (service === undefined) throw new Error('no service');
    service.misbehave = ({ response }) => {
      response.end('<html>not what you think</html>');
      return true;
    };
    expect(await (await fetch(`${service.url}/configs/shop/default/application`)).text()).toContain('<html>');
    service.misbehave = undefined;
    expect((await fetch(`${service.url}/configs/shop/default/application`)).status).toBe(200);
  });
});

describe('the open API', () => {
  const items = `openapi/v1/envs/${ENV}/apps/shop/clusters/default/namespaces/application/items`;

  async function ask(method: string, path: string, body?: object, token = TOKEN) {
    const headers = { authorization: token, 'content-type': 'application/json;charset=UTF-8' };
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const answer = await fetch(`${standIn.portal.url}/${path}`, { method, headers, ...sent });
    return { status: answer.status, body: await answer.text() };
  }

  it.each([
    ['a token that nobody has', 'GET', `${items}/fruit`, undefined, 'wrong', 401, 'Unauthorized'],
    [
      'an app of others',
      'DELETE',
      `${items.replace('shop', 'theirs')}/fruit`,
      undefined,
      TOKEN,
      403,
      'denied',
    ],
    ['another environment', 'GET', `${items.replace(ENV, 'MOON')}/fruit`, undefined, TOKEN, 400, 'MOON'],
    [
      'a namespace that is not there',
      'GET',
      `${items.replace('application', 'x')}`,
      undefined,
      TOKEN,
      404,
      'x',
    ],
    ['an item that is not there', 'DELETE', `${items}/none?operator=${USER}`, undefined, TOKEN, 404, 'none'],
    ['a user who is not there', 'DELETE', `${items}/fruit?operator=eve`, undefined, TOKEN, 400, 'eve'],
    ['a key unlike the path', 'PUT', `${items}/a`, { key: 'b' }, TOKEN, 400, 'not consistent'],
    ['a change of nothing', 'PUT', `${items}/a`, by({ key: 'a', value: 'v' }), TOKEN, 404, 'not found: a'],
    [
      'a long value',
      'PUT',
      `${items}/a?createIfNotExists=true`,
      by({ key: 'a', value: 'v'.repeat(20_001) }),
      TOKEN,
      400,
      '20000',
    ],
    ['a long key', 'POST', items, by({ key: 'k'.repeat(129), value: 'v' }), TOKEN, 400, '128'],
  ])('refuses %s', async (_, method, path, body, token, status, message) => {
    const answer = await ask(method, path, body, token);
    expect(answer.status).toBe(status);
    expect(answer.body).toContain(message);
  });

  function by(fields: object): object {
    return { ...fields, dataChangeCreatedBy: USER, dataChangeLastModifiedBy: USER };
  }

  it('changes nothing that clients see until it is released', async () => {
    const put = by({ key: 'fruit', value: 'quince' });
    expect((await ask('PUT', `${items}/fruit?createIfNotExists=true`, put)).status).toBe(200);
    const read = async (): Promise<string> =>
      (await fetch(`${standIn.meta}/configs/shop/default/application`)).text();
    expect(await read()).not.toContain('quince');
    const release = { releaseTitle: 'r', releasedBy: USER };
    const answer = await ask('POST', items.replace('items', 'releases'), release);
    expect(JSON.parse(answer.body)).toMatchObject({ configurations: { fruit: 'quince' } });
    expect(await read()).toContain('quince');
  });
});
