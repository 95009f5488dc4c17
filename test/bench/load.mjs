/**
 * Generates load in a process of its own, so that the one that measures is not the one that waits.
 *
 * `node load.mjs '<json>'`, with
 *   target       {"port": N} or {"socketPath": "…"}
 *   protocol     "h2" (default: h2c), or "http1", where every call under way has a connection of its own
 *   path         request path
 *   bodyFile     file that holds the whole request body, gRPC frame included
 *   headers      further request headers, `:method` too (default: POST, and over h2c those of a gRPC request)
 *   inflight     calls under way at a time
 *   connections  connections they share over h2c (default 1)
 *   seconds      how long to go on; or `calls`, how many to make
 *   warmup       seconds before counting starts (default 0)
 *   pauseMs      pause of each caller between two calls (default 0)
 *
 * Prints one line of JSON: calls, failed, seconds, perSecond, p50, p99, max (milliseconds), cpu (this process's
 * microseconds per call), and `statuses`, how often each gRPC status came (an HTTP status if there was none).
 */
import { readFileSync } from 'node:fs';
import { Agent, request as request1 } from 'node:http';
import { connect } from 'node:http2';
import { createConnection } from 'node:net';

const options = JSON.parse(process.argv[2] ?? '{}');
const { target, protocol = 'h2', path, inflight = 1, seconds, calls, warmup = 0, pauseMs = 0 } = options;
const connections = protocol === 'h2' ? (options.connections ?? 1) : 0;
const body = options.bodyFile === undefined ? Buffer.alloc(0) : readFileSync(options.bodyFile);
const grpc = { 'content-type': 'application/grpc', te: 'trailers' };
const headers = { ':method': 'POST', ':path': path, ...(protocol === 'h2' ? grpc : {}), ...options.headers };

/** For HTTP/1.1. */
const agent = new Agent({ keepAlive: true, noDelay: true });
const sessions = await Promise.all(Array.from({ length: connections }, open));
/** By index; a connection that was lost is dialled again by whoever needs it next. */
const redials = new Map();
const latencies = [];
const statuses = {};
let failed = 0;
let started = performance.now();
let cpu = process.cpuUsage();
let counting = warmup === 0;
const countFrom = started + warmup * 1000;
const until = seconds === undefined ? Infinity : countFrom + seconds * 1000;
let left = calls ?? Infinity;

await Promise.all(Array.from({ length: inflight }, (_, index) => loop(index % Math.max(1, connections))));

const elapsed = (performance.now() - started) / 1000;
const used = process.cpuUsage(cpu);
for (const session of sessions) session.close();
agent.destroy();
latencies.sort((a, b) => a - b);
const quantile = (q) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * q))] ?? 0;
console.log(
  JSON.stringify({
    calls: latencies.length,
    failed,
    seconds: elapsed,
    perSecond: latencies.length / elapsed,
    p50: quantile(0.5),
    p99: quantile(0.99),
    max: latencies.at(-1) ?? 0,
    cpu: (used.user + used.system) / Math.max(1, latencies.length),
    statuses,
  }),
);

function open() {
  return new Promise((resolve, reject) => {
    const socket =
      'port' in target
        ? createConnection({ host: '127.0.0.1', port: target.port, noDelay: true })
        : createConnection({ path: target.socketPath });
    socket.once('error', reject);
    const session = connect('http://localhost', {
      createConnection: () => socket,
      settings: { initialWindowSize: 8 * 1024 * 1024 },
    });
    session.once('error', reject);
    session.once('connect', () => {
      session.setLocalWindowSize(16 * 1024 * 1024);
      session.on('error', () => undefined);
      resolve(session);
    });
  });
}

async function sessionAt(index) {
  if (sessions[index].destroyed || sessions[index].closed) {
    if (!redials.has(index))
      redials.set(
        index,
        open().finally(() => redials.delete(index)),
      );
    sessions[index] = await redials.get(index);
  }
  return sessions[index];
}

async function loop(index) {
  for (;;) {
    const begun = performance.now();
    if (begun >= until || left <= 0) return;
    left--;
    const status = await (protocol === 'h2' ? call(await sessionAt(index)) : call1());
    const ended = performance.now();
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    if (!counting && ended >= countFrom) {
      counting = true;
      started = ended;
      cpu = process.cpuUsage();
      continue;
    }
    if (!counting) continue;
    latencies.push(ended - begun);
    statuses[status] = (statuses[status] ?? 0) + 1;
    if (!['0', 'http 200', 'http 204'].includes(status)) failed++;
  }
}

function call(session) {
  return new Promise((resolve) => {
    let status = 'none';
    const stream = session.request(headers);
    const take = (received) => {
      if (received['grpc-status'] !== undefined) status = String(received['grpc-status']);
    };
    stream.on('response', (received) => {
      status = `http ${received[':status']}`;
      take(received);
    });
    stream.on('trailers', take);
    stream.on('error', () => (status = 'reset'));
    // An answer that comes before the whole request has gone leaves the stream closed but not destroyed.
    stream.on('end', () => stream.closed && stream.destroy());
    stream.on('close', () => resolve(status));
    stream.resume();
    stream.end(body);
  });
}

function call1() {
  return new Promise((resolve) => {
    const { ':method': method, ...rest } = headers;
    delete rest[':path'];
    const length = body.length === 0 ? {} : { 'content-length': body.length };
    const outgoing = request1(
      { ...address(), agent, method, path, headers: { ...rest, ...length } },
      (answer) => {
        answer.resume();
        answer.once('end', () => resolve(`http ${answer.statusCode}`));
        answer.once('error', () => resolve('reset'));
      },
    );
    outgoing.once('error', () => resolve('reset'));
    outgoing.end(body);
  });
}

function address() {
  return 'port' in target ? { host: '127.0.0.1', port: target.port } : { socketPath: target.socketPath };
}
