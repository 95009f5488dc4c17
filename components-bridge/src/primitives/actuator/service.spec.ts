import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { pino } from 'pino';

import { Rooms } from '../../../../test/support/rooms.js';
import * as pb from '../../gen/layotto/bridge/v1/actuator_pb.js';
import { Call } from '../call.js';
import { ActuatorService } from './service.js';

describe('ActuatorService', () => {
  let rooms: Rooms;
  let lines: string[];
  let service: ActuatorService;

  beforeEach(async () => {
    rooms = await Rooms.open([
      { name: 'one', type: 'state.embedded' },
      { name: 'two', type: 'hello.helloworld' },
    ]);
    lines = [];
    const log = pino({}, { write: (line: string) => void lines.push(line) });
    service = new ActuatorService({ registry: rooms.registry, log, filters: { level: 'info' } });
  });
  afterEach(() => rooms.close());

  async function call(method: string, payload: Uint8Array): Promise<Uint8Array> {
    const handler = service.handlers.get(`${service.name}/${method}`);
    if (handler === undefined) throw new Error(`no method ${method}`);
    return handler(payload, new Call(method, '', 0));
  }

  async function levels(): Promise<Record<string, string>> {
    const { loggers } = fromBinary(
      pb.GetLogLevelsResponseSchema,
      await call('GetLogLevels', new Uint8Array(0)),
    );
    return Object.fromEntries(loggers.map(({ logger, level }) => [logger, level]));
  }

  async function set(component: string, level: string): Promise<string[]> {
    const request = toBinary(
      pb.SetLogLevelRequestSchema,
      create(pb.SetLogLevelRequestSchema, { component, level }),
    );
    return fromBinary(pb.SetLogLevelResponseSchema, await call('SetLogLevel', request)).loggers;
  }

  it.each([
    ['', ['bridge', 'filter', 'state-one', 'hello-two']],
    ['bridge', ['bridge']],
    ['filter', ['filter']],
    ['one', ['state-one']],
    ['state-one', ['state-one']],
    ['state/embedded', ['state-one']],
    ['hellos/helloworld', ['hello-two']],
    ['lock/redis', []],
    ['__proto__/x', []],
    ['ONE', []],
  ])('by the name %p it sets %p', async (component, loggers) => {
    const before = await levels();
    expect(await set(component, 'error')).toEqual(loggers);
    const after = { ...before, ...Object.fromEntries(loggers.map((logger) => [logger, 'error'])) };
    expect(await levels()).toEqual(after);
  });

  it('sets it for the settings that come later as well', async () => {
    expect(await set('one', 'fatal')).toEqual(['state-one']);
    const [config] = rooms.registry.logLevels().map((row) => row.config);
    if (config === undefined) throw new Error('there is no component');
    await rooms.registry.apply([{ ...config, version: 'v2' }], { removeOthers: false, waitMs: 5_000 });
    expect((await levels())['state-one']).toBe('fatal');
  });

  it('changes what is written', async () => {
    rooms.log.length = 0;
    const slot = rooms.registry.find('state', 'one');
    slot?.log.info('seen');
    await set('one', 'warn');
    slot?.log.info('not seen');
    expect(rooms.log.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(['seen']);
  });

  it('refuses a level that there is not, and changes nothing', async () => {
    const before = await levels();
    await expect(set('', 'loud')).rejects.toThrow(
      'level: expected trace, debug, info, warn, error or fatal, found "loud"',
    );
    await expect(set('', 'x'.repeat(10_000))).rejects.toThrow(/^.{1,300}$/);
    expect(await levels()).toEqual(before);
  });

  it('warns of a logger that there is not', async () => {
    await set('nobody', 'debug');
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ level: 40, component: 'nobody' });
  });
});
