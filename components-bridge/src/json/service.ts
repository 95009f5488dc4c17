import { readFile } from 'node:fs/promises';

import type { DescMethodUnary } from '@bufbuild/protobuf';

import { Code, OperationError } from '../primitives/errors.js';
import type { Handler, Service } from '../primitives/handler.js';
import { JSON_METHODS } from './gen/json-methods.js';
import { jsonHandler } from './transcode.js';

/** Where the OpenAPI document is: as it is built, and as it stands in the sources. */
const DOCUMENTS = ['../../../../docs/openapi/layotto.json', '../../../docs/openapi/layotto.json'];

/**
 * The methods of other services with JSON in place of messages: `layotto.bridge.v1.State/GetState+json`. And the
 * OpenAPI document that tells of them.
 */
export class JsonService implements Service {
  readonly name = 'layotto.bridge.v1.Json';
  readonly handlers: ReadonlyMap<string, Handler>;

  /** @param services those whose methods are offered, as far as apps may call them */
  constructor(services: readonly Service[], methods: readonly DescMethodUnary[] = JSON_METHODS) {
    const handlers = new Map(services.flatMap((service) => [...service.handlers]));
    const own = new Map<string, Handler>([[`${this.name}/GetOpenApi`, () => document()]]);
    for (const method of methods) {
      const name = `${method.parent.typeName}/${method.name}`;
      const handler = handlers.get(name);
      if (handler !== undefined) own.set(`${name}+json`, jsonHandler(method, handler));
    }
    this.handlers = own;
  }
}

async function document(): Promise<Uint8Array> {
  for (const path of DOCUMENTS) {
    const content = await readFile(new URL(path, import.meta.url)).catch(() => undefined);
    if (content !== undefined) return content;
  }
  throw new OperationError(Code.NOT_FOUND, 'docs/openapi/layotto.json is not installed');
}
