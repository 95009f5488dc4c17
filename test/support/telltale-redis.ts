import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** A server that speaks just enough Redis to be connected to, and repeats in its errors what it was told. */
export interface TelltaleRedis {
  port: number;
  stop(): Promise<void>;
}

/** @param refuseLogin whether logging in fails, too */
export async function startTelltaleRedis(refuseLogin: boolean): Promise<TelltaleRedis> {
  const sockets = new Set<Socket>();
  let secrets: string[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    let rest = '';
    socket.on('data', (chunk) => {
      rest += chunk.toString('latin1');
      for (;;) {
        const command = nextCommand(rest);
        if (command === undefined) return;
        rest = rest.slice(command.length);
        socket.write(answer(command.words));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  function answer([name = '', ...args]: readonly string[]): string {
    if (/^(auth|hello)$/i.test(name)) {
      secrets = args;
      return refuseLogin ? `-WRONGPASS no user with ${args.join(' and ')}\r\n` : '+OK\r\n';
    }
    if (/^info$/i.test(name)) return '$17\r\nredis_version:7.0\r\n';
    if (/^(select|client|ping)$/i.test(name)) return '+OK\r\n';
    return `-ERR whoever logged in with ${secrets.join(' and ')} may not ${name}\r\n`;
  }

  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The first whole command of a stream of them, and how many characters it takes. */
function nextCommand(text: string): { words: string[]; length: number } | undefined {
  const head = /^\*(\d+)\r\n/.exec(text);
  if (head === null) return undefined;
  let at = head[0].length;
  const words: string[] = [];
  for (let i = 0; i < Number(head[1]); i++) {
    const size = /^\$(\d+)\r\n/.exec(text.slice(at));
    if (size === null) return undefined;
    at += size[0].length;
    const end = at + Number(size[1]);
    if (text.length < end + 2) return undefined;
    words.push(text.slice(at, end));
    at = end + 2;
  }
  return { words, length: at };
}
