import { pino } from 'pino';

import { Policy } from '../policy/policy.js';
import { Backends } from '../primitives/backends.js';
import { ComponentRegistry } from '../primitives/registry.js';
import { Secrets } from '../telemetry/secrets.js';
import { primitiveServices } from './primitive-services.js';

const secrets = new Secrets();
const registry = new ComponentRegistry({
  components: [],
  types: [],
  appId: 'app',
  dataDir: '/nowhere',
  log: pino({ enabled: false }),
  secrets,
});
const parts = {
  registry,
  backends: new Backends(secrets),
  policy: new Policy({ components: [] }),
  messageBytes: 4 * 1024 * 1024,
  appId: 'app',
  namespace: '',
};

/** What a service offers. */
function offer({ name, handlers, streams }: Awaited<ReturnType<typeof load>>) {
  return { name, methods: [...handlers.keys()], streams: [...(streams?.keys() ?? [])] };
}

function load(primitive: string) {
  const service = primitiveServices(parts).get(primitive);
  if (service === undefined) throw new Error(`no service of ${primitive}`);
  return service.load();
}

it.each([...primitiveServices(parts)])(
  '%s says what it serves before it is loaded',
  async (primitive, service) => {
    expect(offer(service)).toEqual(offer(await load(primitive)));
  },
);
