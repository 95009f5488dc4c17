import { rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';

import { isFunctionSlot, parseTrapLimit } from '../../components-bridge/src/config/slots.js';
import { MOST_MODULE_BYTES } from '../../envoy/module-info.js';
import { UserError, messageOf } from './errors.js';
import { functionOptions } from './functions.js';
import type { Functions } from './functions.js';
import type { ModuleSlots } from './module-slots.js';

/** Longest plugin configuration of a push. */
export const MOST_CONFIGURATION_BYTES = 1024 * 1024;

/** Where `layotto module` asks a running `layotto run` to change its modules; only the owner of the folder can. */
export class ControlServer {
  readonly #server: Server;

  constructor(
    private readonly socketPath: string,
    private readonly modules: ModuleSlots,
    /** Undefined where there are none. */
    private readonly functions: Functions | undefined,
  ) {
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.#server.maxConnections = 16;
    this.#server.requestTimeout = 60_000;
  }

  /** Resolves when it listens. The folder is its owner's only, and so is the socket. */
  start(): Promise<void> {
    rmSync(this.socketPath, { force: true });
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      const before = process.umask(0o177);
      this.#server.listen(this.socketPath, resolve);
      process.umask(before);
    });
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let status = 200;
    let body: unknown;
    try {
      body = await this.#perform(request);
      if (body === undefined)
        [status, body] = [404, { error: `there is no ${request.method} ${request.url}` }];
    } catch (error) {
      status = error instanceof UserError ? 409 : 500;
      body = { error: messageOf(error) };
    }
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }

  async #perform(request: IncomingMessage): Promise<unknown> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const slot = searchParams.get('slot') ?? '';
    const content = await read(request);
    const asked = `${request.method} ${pathname}`;
    if (pathname.startsWith('/functions')) return this.#functions(asked, searchParams, content);
    if (isFunctionSlot(slot)) throw new UserError(`${slot} is a place for a function; use layotto function`);
    if (asked === 'GET /modules') return this.modules.list();
    if (asked === 'POST /modules/rollback') return { said: await this.modules.rollback(slot) };
    if (asked === 'POST /modules/remove') return { said: await this.modules.remove(slot) };
    if (asked !== 'POST /modules/push') return undefined;
    // The configuration stands behind the module, so that both can be any bytes.
    const length = Number(searchParams.get('length'));
    const configuration = content.subarray(length).toString('utf8');
    return {
      said: await this.modules.push(slot, content.subarray(0, length), {
        rollbackOnTrap: parseTrapLimit(searchParams.get('rollbackOnTrap')),
        rootId: searchParams.get('rootId') ?? undefined,
        configuration: searchParams.has('configured') ? configuration : undefined,
      }),
    };
  }

  async #functions(asked: string, options: URLSearchParams, content: Buffer): Promise<unknown> {
    const { functions } = this;
    if (functions === undefined)
      throw new UserError('there are no functions here: add functions: { listen: 2045 } to layotto.yaml');
    const id = options.get('id') ?? '';
    if (asked === 'GET /functions') return functions.list();
    if (asked === 'POST /functions/rollback') return { said: await functions.rollback(id) };
    if (asked === 'POST /functions/remove') return { said: await functions.remove(id) };
    if (asked !== 'POST /functions/push') return undefined;
    return { said: await functions.push(content, functionOptions(options)) };
  }
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MOST_MODULE_BYTES + MOST_CONFIGURATION_BYTES) throw new UserError('the module is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
