import { create, toBinary } from '@bufbuild/protobuf';
import type { Logger } from 'pino';

import { SECTIONS } from '../../config/layotto-sections.js';
import type { ComponentConfig } from '../../config/types.js';
import * as pb from '../../gen/layotto/bridge/v1/actuator_pb.js';
import { decode } from '../decode.js';
import { Code, OperationError } from '../errors.js';
import type { Handler, Service } from '../handler.js';
import type { ComponentRegistry } from '../registry.js';

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

/** The logger of everything that belongs to no component. */
const BRIDGE = 'bridge';
/** What filters in Envoy say: all of this bridge's. */
const FILTER = 'filter';

/** Layotto's loggers whose first part is no section of its configuration. */
const LAYOTTO_KINDS: Readonly<Record<string, string>> = { configstore: 'configuration' };

/** Longest name that is repeated in a line of the log. */
const QUOTED_LENGTH = 100;

export interface ActuatorServiceOptions {
  registry: ComponentRegistry;
  log: Logger;
  /** How much filters log. */
  filters: FilterLevel;
}

export interface FilterLevel {
  level: string;
}

/** How much the bridge and its filters log, looked at and changed while it runs. */
export class ActuatorService implements Service {
  readonly name = pb.Actuator.typeName;
  readonly handlers: ReadonlyMap<string, Handler>;

  constructor(private readonly options: ActuatorServiceOptions) {
    this.handlers = new Map<string, Handler>([
      [`${this.name}/GetLogLevels`, async () => this.#get()],
      [`${this.name}/SetLogLevel`, async (payload) => this.#set(payload)],
    ]);
  }

  #get(): Uint8Array {
    const { registry, log, filters } = this.options;
    const loggers = [
      { logger: BRIDGE, level: log.level },
      { logger: FILTER, level: filters.level },
      ...registry.logLevels().map(({ config, level }) => ({ logger: loggerOf(config), level })),
    ];
    return toBinary(pb.GetLogLevelsResponseSchema, create(pb.GetLogLevelsResponseSchema, { loggers }));
  }

  #set(payload: Uint8Array): Uint8Array {
    const { registry, log, filters } = this.options;
    const { component, level } = decode(pb.SetLogLevelRequestSchema, payload);
    if (!LEVELS.includes(level)) {
      const found = JSON.stringify(level.slice(0, QUOTED_LENGTH));
      throw new OperationError(
        Code.INVALID_ARGUMENT,
        `level: expected trace, debug, info, warn, error or fatal, found ${found}`,
      );
    }
    const loggers: string[] = [];
    if (component === '' || component === BRIDGE) {
      log.level = level;
      loggers.push(BRIDGE);
    }
    if (component === '' || component === FILTER) {
      filters.level = level;
      loggers.push(FILTER);
    }
    for (const { config } of registry.logLevels()) {
      if (component !== '' && !isMeant(config, component)) continue;
      registry.setLogLevel(config, level);
      loggers.push(loggerOf(config));
    }
    const told = { component: component.slice(0, QUOTED_LENGTH), wanted: level, loggers };
    if (loggers.length === 0) log.warn(told, 'no logger is called so');
    else log.info(told, 'log level changed');
    return toBinary(pb.SetLogLevelResponseSchema, create(pb.SetLogLevelResponseSchema, { loggers }));
  }
}

function loggerOf({ primitive, name }: ComponentConfig): string {
  return `${primitive}-${name}`;
}

/** Whether a component is meant by its logger, its name, or as Layotto says it: `lock/redis`. */
function isMeant(config: ComponentConfig, called: string): boolean {
  if (called === config.name || called === loggerOf(config)) return true;
  const [kind = '', backend] = called.split('/');
  const primitive = SECTIONS[kind] ?? LAYOTTO_KINDS[kind] ?? kind;
  return primitive === config.primitive && backend === config.type.slice(config.type.indexOf('.') + 1);
}
