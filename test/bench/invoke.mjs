/**
 * The third part of `make bench`: what service invocation costs beside the same call through the same two Envoys
 * without the runtime, and with a filter that does nothing. The ways take turns, so that whatever else the machine does
 * falls on all.
 *
 * Environment: as in run.mjs, of which BENCH_ONLY (on names such as `invoke/post/16`), BENCH_ROUNDS, BENCH_SECONDS,
 * BENCH_WORKERS, BENCH_NICE, BENCH_PATIENCE and BENCH_WRITE are heeded; and BENCH_STRICT=1 fails where a target is
 * missed.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { startInvokeEnvoys } from './invoke-envoys.mjs';
import { invokeReport, verdict } from './invoke-report.mjs';
import { describeMachine, readBusy, shareOfOthers, untilQuiet } from './machine.mjs';
import { watchCpu } from './measure.mjs';
import { intoPage } from './output.mjs';
import { readSettings } from './settings.mjs';

const loader = fileURLToPath(new URL('load.mjs', import.meta.url));
const IN_FLIGHT = [1, 16];
const BYTES = 64;
/** A slice begins when other programs take at most so much of the machine, if there is patience for that. */
const QUIET = 0.1;

const HTTP = '/v1.0/invoke/orders/method/hello';
const POST = { protocol: 'http1', headers: { 'content-type': 'text/plain' }, body: 'body' };

/** `plain` is the call on the ports without the runtime, as far as it differs. */
const CASES = [
  { name: 'post', title: 'HTTP invoke, POST', judged: true, call: { ...POST, path: HTTP } },
  {
    ...{ name: 'get', title: 'HTTP invoke, GET', judged: true },
    call: { protocol: 'http1', headers: { ':method': 'GET' }, path: HTTP },
  },
  {
    ...{ name: 'grpc', title: 'gRPC by dapr-app-id', judged: false },
    call: {
      ...{ protocol: 'h2', headers: { 'dapr-app-id': 'orders' }, body: 'body' },
      path: '/bench.Echo/Call',
    },
    plain: { path: '/v1.0/invoke/orders/method/bench.Echo/Call' },
  },
  {
    ...{ name: 'service', title: 'InvokeService (gRPC), beside the HTTP call', judged: false },
    call: { protocol: 'h2', path: '/spec.proto.runtime.v1.Runtime/InvokeService', body: 'message' },
    plain: { ...POST, path: HTTP },
  },
];

const settings = readSettings(process.env);
const { rounds, seconds, workers, patience } = settings;
if (settings.nice !== 0) setPriority(settings.nice);
const dir = mkdtempSync(join(tmpdir(), 'layotto-bench-'));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130));
process.once('exit', () => rmSync(dir, { recursive: true, force: true }));

const chosen = CASES.flatMap((one) =>
  IN_FLIGHT.map((inflight) => ({
    ...one,
    ...{ inflight, id: `invoke/${one.name}/${inflight}`, with: [], empty: [], without: [] },
  })),
).filter(({ id }) => settings.only.test(id));

if (chosen.length > 0) {
  const { port, plainPort, emptyPort, children } = await startInvokeEnvoys({ dir, workers });
  try {
    const data = Buffer.alloc(BYTES, 0x61);
    writeFileSync(join(dir, 'body'), frame(data));
    writeFileSync(join(dir, 'message'), frame(invokeServiceRequest('orders', 'hello', data)));
    const [, callee, caller] = children;
    const watched = [callee, caller].map(({ pid }, index) => ({ name: ['callee', 'caller'][index], pid }));
    const others = [];
    let left = patience;
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? chosen : chosen.toReversed();
      for (const one of order) {
        if (left > 0) left -= await untilQuiet(Math.min(left, 2), QUIET);
        const ways = [
          ['with', { ...one.call, target: { port } }],
          ['empty', { ...one.call, ...one.plain, target: { port: emptyPort } }],
          ['without', { ...one.call, ...one.plain, target: { port: plainPort } }],
        ];
        for (const [way, call] of round % 2 === 0 ? ways : ways.toReversed()) {
          const before = readBusy(children);
          const load = { ...call, inflight: one.inflight, seconds, warmup: round === 0 ? 0.5 : 0 };
          const measured = await watchCpu(watched, () => runLoad(load));
          others.push(shareOfOthers(before, readBusy(children)));
          if (measured.failed > 0)
            throw new Error(`${one.id}: calls failed: ${JSON.stringify(measured.statuses)}`);
          const cpu = measured.cpuPerCall.caller + measured.cpuPerCall.callee;
          one[way].push({ cpu, p50: measured.p50 * 1000 });
        }
      }
      console.error(`invocation: round ${round + 1} of ${rounds}`);
    }
    const date = new Date().toISOString().slice(0, 10);
    const run = { date, machine: describeMachine(), others: middle(others), settings, results: chosen };
    const text = invokeReport(run);
    const folder = new URL('../.results/bench/', import.meta.url);
    mkdirSync(folder, { recursive: true });
    writeFileSync(new URL('invoke.json', folder), JSON.stringify(run, undefined, 1));
    if (settings.write) intoPage('invoke', text);
    console.log(text);
    if (process.env['BENCH_STRICT'] === '1' && chosen.some((one) => !verdict(one).met)) process.exitCode = 1;
  } finally {
    await Promise.all(children.map((child) => child.stop()));
  }
}

async function runLoad({ body, ...load }) {
  const options = { ...load, ...(body === undefined ? {} : { bodyFile: join(dir, body) }) };
  const { stdout } = await promisify(execFile)(process.execPath, [loader, JSON.stringify(options)]);
  return JSON.parse(stdout);
}

function frame(message) {
  const framed = Buffer.alloc(5 + message.length);
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, 5);
  return framed;
}

/** An encoded InvokeServiceRequest; everything in it is shorter than 128 bytes. */
function invokeServiceRequest(id, method, data) {
  const field = (tag, bytes) => Buffer.concat([Buffer.from([tag, bytes.length]), bytes]);
  const any = field(0x12, field(0x12, data));
  const inner = Buffer.concat([
    field(0x0a, Buffer.from(method)),
    any,
    field(0x1a, Buffer.from('text/plain')),
    field(0x22, Buffer.from([0x08, 0x03])),
  ]);
  return Buffer.concat([field(0x0a, Buffer.from(id)), field(0x1a, inner)]);
}

function middle(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
