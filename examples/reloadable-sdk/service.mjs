/** The service that the app calls. It takes bodies as they are, or encrypted with ChaCha20 by Node's own OpenSSL. */
import { createDecipheriv, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

export class Service {
  /** Calls that came plain, calls that came encrypted, and how many of those were answered with 503. */
  plain = 0;
  encrypted = 0;
  refused = 0;
  /** Refuse one of so many encrypted calls; 0: none. */
  refuseEvery = 0;
  #server;

  /** @param {Buffer} key 32 bytes */
  constructor(key) {
    this.#server = createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks);
      const nonce = request.headers['x-sdk-nonce'];
      if (nonce === undefined) {
        this.plain++;
        response.end(answerTo(body));
        return;
      }
      this.encrypted++;
      if (this.refuseEvery > 0 && this.encrypted % this.refuseEvery === 0) {
        this.refused++;
        response.writeHead(503).end();
        return;
      }
      const own = randomBytes(12);
      response.setHeader('x-sdk-nonce', own.toString('hex'));
      response.end(chacha20(key, own, Buffer.from(answerTo(chacha20(key, Buffer.from(nonce, 'hex'), body)))));
    });
  }

  async listen(port) {
    await new Promise((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
  }

  close() {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

function answerTo(body) {
  const { order } = JSON.parse(body);
  return JSON.stringify({ order, price: order * 3 });
}

/** OpenSSL wants the counter, which begins at 1, in front of the nonce. */
function chacha20(key, nonce, bytes) {
  return createDecipheriv('chacha20', key, Buffer.concat([Buffer.from([1, 0, 0, 0]), nonce])).update(bytes);
}
