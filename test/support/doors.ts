import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import {
  DeleteBulkStateRequestSchema,
  DeleteStateRequestSchema,
  DeleteStateResponseSchema,
  ExecuteStateTransactionRequestSchema,
  GetBulkStateRequestSchema,
  GetBulkStateResponseSchema,
  GetStateRequestSchema,
  GetStateResponseSchema,
  SaveStateRequestSchema,
  type StateItemSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import type { RawAnswer, RawClient } from './grpc-raw.js';
import { httpJson, type HttpAnswer, type Target } from './http1.js';

/** Paths of the two gRPC APIs' services. */
export const LAYOTTO = '/spec.proto.runtime.v1.Runtime';
export const DAPR = '/dapr.proto.runtime.v1.Dapr';

/** What a write ended with: 0 is success on every door, otherwise the gRPC code or the HTTP status. */
export interface Outcome {
  code: number;
  message: string;
}

export interface StoredValue {
  /** The stored bytes as text; empty if the key is absent. */
  value: string;
  /** Empty if the key is absent. */
  etag: string;
}

export interface WriteItem {
  key: string;
  /** JSON text, so that all doors can carry it. */
  value?: string;
  etag?: string;
  ttlInSeconds?: number;
  firstWrite?: boolean;
}

/** State through one door, in the terms all doors share. */
export interface StateDoor {
  readonly name: string;
  /** The code of a stale ETag on this door. */
  readonly mismatch: number;
  get(store: string, key: string): Promise<StoredValue & Outcome>;
  save(store: string, items: readonly WriteItem[]): Promise<Outcome>;
  delete(store: string, key: string, etag?: string): Promise<Outcome>;
  bulkGet(store: string, keys: readonly string[]): Promise<(StoredValue & { key: string })[]>;
  transaction(store: string, operations: readonly (WriteItem & { delete?: boolean })[]): Promise<Outcome>;
}

/** The Layotto or Dapr gRPC door. */
export class GrpcStateDoor implements StateDoor {
  readonly mismatch = 10;

  constructor(
    readonly name: string,
    private readonly client: RawClient,
    private readonly service: string,
    private readonly headers: Record<string, string> = {},
  ) {}

  async get(storeName: string, key: string): Promise<StoredValue & Outcome> {
    const answer = await this.client.unary(
      `${this.service}/GetState`,
      GetStateRequestSchema,
      { storeName, key },
      GetStateResponseSchema,
      this.options,
    );
    const { data, etag } = answer.message ?? { data: new Uint8Array(), etag: '' };
    return { value: Buffer.from(data).toString('utf8'), etag, ...outcome(answer) };
  }

  async save(storeName: string, items: readonly WriteItem[]): Promise<Outcome> {
    const states = items.map(stateItem);
    return outcome(await this.write('SaveState', SaveStateRequestSchema, { storeName, states }));
  }

  async delete(storeName: string, key: string, etag?: string): Promise<Outcome> {
    const message = { storeName, key, ...(etag === undefined ? {} : { etag: { value: etag } }) };
    return outcome(await this.write('DeleteState', DeleteStateRequestSchema, message));
  }

  /** gRPC only. */
  async deleteBulk(storeName: string, items: readonly WriteItem[]): Promise<Outcome> {
    const states = items.map(stateItem);
    return outcome(await this.write('DeleteBulkState', DeleteBulkStateRequestSchema, { storeName, states }));
  }

  async bulkGet(storeName: string, keys: readonly string[]): Promise<(StoredValue & { key: string })[]> {
    const answer = await this.client.unary(
      `${this.service}/GetBulkState`,
      GetBulkStateRequestSchema,
      { storeName, keys: [...keys] },
      GetBulkStateResponseSchema,
      this.options,
    );
    return (answer.message?.items ?? []).map(({ key, data, etag }) => ({
      key,
      value: Buffer.from(data).toString('utf8'),
      etag,
    }));
  }

  async transaction(
    storeName: string,
    operations: readonly (WriteItem & { delete?: boolean })[],
  ): Promise<Outcome> {
    const message = {
      storeName,
      operations: operations.map((operation) => ({
        operationType: operation.delete === true ? 'delete' : 'upsert',
        request: stateItem(operation),
      })),
    };
    return outcome(
      await this.write('ExecuteStateTransaction', ExecuteStateTransactionRequestSchema, message),
    );
  }

  private get options(): { headers: Record<string, string> } {
    return { headers: this.headers };
  }

  // The empty answers of all writes look alike on the wire.
  private write<T extends DescMessage>(
    method: string,
    schema: T,
    message: MessageInitShape<T>,
  ): Promise<RawAnswer> {
    const path = `${this.service}/${method}`;
    return this.client.unary(path, schema, message, DeleteStateResponseSchema, this.options);
  }
}

/** The Dapr HTTP door. */
export class HttpStateDoor implements StateDoor {
  readonly name = 'Dapr HTTP';
  readonly mismatch = 409;

  constructor(
    private readonly target: Target,
    private readonly headers: Record<string, string> = {},
  ) {}

  async get(store: string, key: string): Promise<StoredValue & Outcome> {
    const path = `/v1.0/state/${store}/${encodeURIComponent(key)}`;
    const answer = await httpJson(this.target, 'GET', path, undefined, this.headers);
    const ok = answer.status === 200;
    return { value: ok ? answer.body : '', etag: String(answer.headers.etag ?? ''), ...httpOutcome(answer) };
  }

  async save(store: string, items: readonly WriteItem[]): Promise<Outcome> {
    return this.post(`/v1.0/state/${store}`, items.map(jsonItem));
  }

  async delete(store: string, key: string, etag?: string): Promise<Outcome> {
    const headers = etag === undefined ? this.headers : { ...this.headers, 'if-match': etag };
    const path = `/v1.0/state/${store}/${encodeURIComponent(key)}`;
    return httpOutcome(await httpJson(this.target, 'DELETE', path, undefined, headers));
  }

  async bulkGet(store: string, keys: readonly string[]): Promise<(StoredValue & { key: string })[]> {
    const answer = await httpJson(this.target, 'POST', `/v1.0/state/${store}/bulk`, { keys }, this.headers);
    return (answer.json as { key: string; data?: unknown; etag?: string }[]).map(({ key, data, etag }) => ({
      key,
      value: data === undefined ? '' : JSON.stringify(data),
      etag: etag ?? '',
    }));
  }

  async transaction(
    store: string,
    operations: readonly (WriteItem & { delete?: boolean })[],
  ): Promise<Outcome> {
    return this.post(`/v1.0/state/${store}/transaction`, {
      operations: operations.map((operation) => ({
        operation: operation.delete === true ? 'delete' : 'upsert',
        request: jsonItem(operation),
      })),
    });
  }

  private async post(path: string, body: unknown): Promise<Outcome> {
    return httpOutcome(await httpJson(this.target, 'POST', path, body, this.headers));
  }
}

function outcome(answer: RawAnswer): Outcome {
  return { code: answer.grpcStatus, message: answer.grpcMessage };
}

function httpOutcome(answer: HttpAnswer & { json: unknown }): Outcome {
  if (answer.status < 300) return { code: 0, message: '' };
  const { message } = (answer.json ?? {}) as { message?: string };
  return { code: answer.status, message: message ?? answer.body };
}

function stateItem(item: WriteItem): MessageInitShape<typeof StateItemSchema> {
  return {
    key: item.key,
    value: Buffer.from(item.value ?? ''),
    ...(item.etag === undefined ? {} : { etag: { value: item.etag } }),
    ...(item.ttlInSeconds === undefined ? {} : { metadata: { ttlInSeconds: String(item.ttlInSeconds) } }),
    ...(item.firstWrite === true ? { options: { concurrency: 1 } } : {}),
  };
}

function jsonItem(item: WriteItem): object {
  return {
    key: item.key,
    ...(item.value === undefined ? {} : { value: JSON.parse(item.value) as unknown }),
    ...(item.etag === undefined ? {} : { etag: item.etag }),
    ...(item.ttlInSeconds === undefined ? {} : { metadata: { ttlInSeconds: String(item.ttlInSeconds) } }),
    ...(item.firstWrite === true ? { options: { concurrency: 'first-write' } } : {}),
  };
}
