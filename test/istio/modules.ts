import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export const MODULE = built('runtime');
export const HELLO = built('hello');

/** Serves modules by their checksums, as a registry of modules would. */
export class Modules {
  readonly #files = new Map<string, Uint8Array>();

  private constructor(private readonly server: Server) {
    server.on('request', (request, response) => {
      const found = this.#files.get(request.url ?? '');
      response.writeHead(found === undefined ? 404 : 200).end(found);
    });
  }

  static async start(): Promise<Modules> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Modules(server);
  }

  get host(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  add(wasm: Uint8Array): { url: string; sha256: string } {
    const sha256 = createHash('sha256').update(wasm).digest('hex');
    this.#files.set(`/${sha256}.wasm`, wasm);
    return { url: `http://${this.host}/${sha256}.wasm`, sha256 };
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

/** A module that does the same and has another checksum. */
export function variant(text: string): Uint8Array {
  const name = Buffer.from('test');
  const content = Buffer.concat([Buffer.from([name.length]), name, Buffer.from(text)]);
  return Buffer.concat([MODULE, Buffer.from([0, content.length]), content]);
}

function built(name: string): Buffer {
  return readFileSync(new URL(`../../dist/modules/${name}.wasm`, import.meta.url));
}
