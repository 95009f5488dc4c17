import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { pino } from 'pino';

import { catalog } from '../../components-bridge/src/catalog.js';
import type { ComponentConfig } from '../../components-bridge/src/config/types.js';
import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { Call } from '../../components-bridge/src/primitives/call.js';
import { OperationError } from '../../components-bridge/src/primitives/errors.js';
import { ComponentRegistry } from '../../components-bridge/src/primitives/registry.js';
import type { ComponentHealth } from '../../components-bridge/src/primitives/slot.js';
import { StateService } from '../../components-bridge/src/primitives/state/service.js';
import { eventually } from '../support/wait.js';

const STORE = 'store';
const MESSAGE_BYTES = 4 * 1024 * 1024;

/** How an operation ended that did not succeed. */
export interface Refusal {
  code: number;
  message: string;
}

export type Item = MessageInitShape<typeof pb.StateItemSchema>;

export interface ClientOptions {
  type: string;
  /** Of the type; by default v1. */
  version?: string;
  metadata?: Record<string, string>;
  dataDir?: string;
  form?: ComponentConfig['form'];
  appId?: string;
  namespace?: string;
  /** Resolve at once, without waiting until the component is ready. */
  wait?: boolean;
}

/** One bridge's worth of state: canonical messages through the service to one component, with no session between. */
export class StateClient {
  readonly changes: ComponentHealth[] = [];
  readonly #registry: ComponentRegistry;
  readonly #service: StateService;

  private constructor(options: ClientOptions) {
    this.#registry = new ComponentRegistry({
      components: [
        {
          name: STORE,
          type: options.type,
          version: options.version ?? 'v1',
          primitive: 'state',
          form: options.form ?? 'native',
          metadata: options.metadata ?? {},
          origin: { file: 'test', line: 0 },
        },
      ],
      types: catalog,
      dataDir: options.dataDir ?? '/nonexistent',
      log: pino({ enabled: false }),
      onHealth: (health) => this.changes.push(health),
    });
    this.#service = new StateService({
      registry: this.#registry,
      appId: options.appId ?? 'app',
      namespace: options.namespace ?? '',
      messageBytes: MESSAGE_BYTES,
    });
  }

  /** Opens the component, and waits until it is ready. */
  static async open(options: ClientOptions): Promise<StateClient> {
    const client = new StateClient(options);
    client.#registry.start();
    if (options.wait !== false) await client.until('ready');
    return client;
  }

  get health(): ComponentHealth {
    const [health] = this.#registry.health();
    if (health === undefined) throw new Error('no component');
    return health;
  }

  async until(status: ComponentHealth['status'], timeoutMs = 10_000): Promise<void> {
    await eventually(
      `the component is ${status}`,
      () => {
        if (this.health.status !== status) throw new Error(JSON.stringify(this.health));
        return true;
      },
      { timeoutMs, everyMs: 5 },
    );
  }

  async close(): Promise<void> {
    await this.#registry.close();
  }

  /** Data as text and etag; both empty if the key is absent. */
  async get(key: string): Promise<{ data: string; etag: string }> {
    const { data, etag } = await this.getBytes(key);
    return { data: Buffer.from(data).toString(), etag };
  }

  getBytes(key: string): Promise<pb.GetStateResponse> {
    const request = { storeName: STORE, key };
    return this.#call('GetState', pb.GetStateRequestSchema, request, pb.GetStateResponseSchema);
  }

  async bulk(keys: string[]): Promise<pb.BulkStateItem[]> {
    const request = { storeName: STORE, keys };
    const answer = await this.#call(
      'GetBulkState',
      pb.GetBulkStateRequestSchema,
      request,
      pb.GetBulkStateResponseSchema,
    );
    return answer.items;
  }

  async save(...states: Item[]): Promise<void> {
    const request = { storeName: STORE, states };
    await this.#call('SaveState', pb.SaveStateRequestSchema, request, pb.SaveStateResponseSchema);
  }

  async delete(key: string, etag?: string, more: Pick<Item, 'options'> = {}): Promise<void> {
    const request = { storeName: STORE, key, ...more, ...(etag !== undefined && { etag: { value: etag } }) };
    await this.#call('DeleteState', pb.DeleteStateRequestSchema, request, pb.DeleteStateResponseSchema);
  }

  async deleteBulk(...states: Item[]): Promise<void> {
    const request = { storeName: STORE, states };
    await this.#call(
      'DeleteBulkState',
      pb.DeleteBulkStateRequestSchema,
      request,
      pb.DeleteBulkStateResponseSchema,
    );
  }

  async transact(...operations: ({ upsert: Item } | { delete: Item })[]): Promise<void> {
    const request = {
      storeName: STORE,
      operations: operations.map((operation) =>
        'upsert' in operation
          ? { operationType: 'upsert', request: operation.upsert }
          : { operationType: 'delete', request: operation.delete },
      ),
    };
    await this.#call(
      'ExecuteStateTransaction',
      pb.ExecuteStateTransactionRequestSchema,
      request,
      pb.ExecuteStateTransactionResponseSchema,
    );
  }

  async #call<Request extends DescMessage, Response extends DescMessage>(
    method: string,
    requestSchema: Request,
    request: MessageInitShape<Request>,
    responseSchema: Response,
  ): Promise<MessageShape<Response>> {
    const handler = this.#service.handlers.get(`${pb.State.typeName}/${method}`);
    if (handler === undefined) throw new Error(`no handler for ${method}`);
    const payload = toBinary(requestSchema, create(requestSchema, request));
    return fromBinary(responseSchema, await handler(payload, new Call(method, '', performance.now())));
  }
}

/** An item with text as its value. */
export function item(key: string, value: string, more: Omit<Item, '$typeName'> = {}): Item {
  return { key, value: Buffer.from(value), ...more };
}

export const etag = (value: string): Pick<Item, 'etag'> => ({ etag: { value } });

export const FIRST_WRITE = { options: { concurrency: pb.Concurrency.FIRST_WRITE } };
export const STRONG = { options: { consistency: pb.Consistency.STRONG } };
export const LAST_WRITE = { options: { concurrency: pb.Concurrency.LAST_WRITE } };

/** Waits for a call to fail as an operation does. */
export async function refused(call: Promise<unknown>): Promise<Refusal> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    return { code: error.code, message: error.message };
  }
  throw new Error('the call was expected to be refused, and was not');
}
