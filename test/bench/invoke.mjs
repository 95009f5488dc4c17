/**
 * The third part of `make bench`: what service invocation costs beside the same call through the same two Envoys
 * without the runtime, and with filters that do next to nothing. The ways take turns in short slices, so that whatever
 * else the machine does falls on all.
 *
 * Environment: as in run.mjs, of which BENCH_ONLY (on names such as `invoke/post/16`), BENCH_ROUNDS, BENCH_SECONDS,
 * BENCH_WORKERS, BENCH_LOAD, BENCH_NICE, BENCH_PATIENCE and BENCH_WRITE are heeded; and BENCH_STRICT=1 fails where a
 * target is missed.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';

import { checkedCall } from './check.mjs';
import { startInvokeEnvoys } from './invoke-envoys.mjs';
import { invokeReport, verdict } from './invoke-report.mjs';
import { describeMachine, readBusy, shareOfOthers, untilQuiet } from './machine.mjs';
import { chooseGenerator, watchCpu } from './measure.mjs';
import { intoPage } from './output.mjs';
import { readSettings } from './settings.mjs';

const IN_FLIGHT = [1, 16];
const BYTES = 64;
/** A slice begins when other programs take at most so much of the machine, if there is patience for that. */
const QUIET = 0.1;

/** A way has its turn for so many seconds. */
const SLICE = 0.25;
const WAYS = ['with', 'reading', 'empty', 'without'];

const data = Buffer.alloc(BYTES, 0x61);
const HTTP = '/v1.0/invoke/orders/method/hello';
const GET = { protocol: 'http1', method: 'GET', path: HTTP, headers: {} };
const POST = { ...GET, method: 'POST', headers: { 'content-type': 'text/plain' }, body: data };
/** To a callee with a timeout, for which it takes the filter. */
const TIMED = { ...POST, path: '/v1.0/invoke/timed/method/hello' };
const GRPC = {
  protocol: 'h2',
  method: 'POST',
  headers: { 'content-type': 'application/grpc', te: 'trailers' },
};

/** `plain` is the call where there is no runtime, if it is another one. */
const CASES = [
  { name: 'post', title: 'HTTP invoke, POST', judged: true, call: POST },
  { name: 'get', title: 'HTTP invoke, GET', judged: true, call: GET },
  { name: 'filtered', title: 'HTTP invoke through the filter, POST', judged: false, call: TIMED },
  {
    ...{ name: 'grpc', title: 'gRPC by dapr-app-id', judged: false },
    call: {
      ...{ ...GRPC, path: '/bench.Echo/Call', body: frame(data) },
      headers: { ...GRPC.headers, 'dapr-app-id': 'orders' },
    },
    plain: { ...GRPC, path: '/v1.0/invoke/orders/method/bench.Echo/Call', body: frame(data) },
  },
  {
    ...{ name: 'service', title: 'InvokeService (gRPC), beside the HTTP call', judged: false },
    call: {
      ...{ ...GRPC, path: '/spec.proto.runtime.v1.Runtime/InvokeService' },
      body: frame(invokeServiceRequest('orders', 'hello', data)),
    },
    plain: POST,
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
    ...{ inflight, id: `invoke/${one.name}/${inflight}`, figures: WAYS.map(() => []) },
  })),
).filter(({ id }) => settings.only.test(id));

if (chosen.length > 0) {
  const generator = chooseGenerator(settings.load);
  const { ports, children } = await startInvokeEnvoys({ dir, workers });
  try {
    const [, callee, caller] = children;
    const watched = [callee, caller].map(({ pid }, index) => ({ name: ['callee', 'caller'][index], pid }));
    const others = [];
    const slices = Math.max(1, Math.round(seconds / SLICE));
    let left = patience;

    /** Lets each way have its turn, beginning with another one and going the other way round each time. */
    const turns = async (one, turn) => {
      if (left > 0) left -= await untilQuiet(Math.min(left, 2), QUIET);
      const first = turn % WAYS.length;
      const order = [...WAYS.keys()].map((index) => (first + index) % WAYS.length);
      for (const index of turn % 2 === 0 ? order : order.toReversed()) {
        const way = WAYS[index];
        const request = way === 'with' ? one.call : (one.plain ?? one.call);
        const load = { port: ports[way], request, inflight: one.inflight, dir };
        load.answerBytes = await checkedCall(load.port, request);
        const before = readBusy(children);
        const run = () => generator.run({ ...load, seconds: SLICE });
        const { cpuPerCall, p50 } = await watchCpu(watched, run);
        others.push(shareOfOthers(before, readBusy(children)));
        one.figures[index].push({ cpu: cpuPerCall.caller + cpuPerCall.callee, p50: p50 * 1000 });
      }
    };

    // What is cold at first does not count.
    for (const one of chosen) await turns(one, 0);
    for (const one of chosen) one.figures = WAYS.map(() => []);
    for (let round = 0; round < rounds; round++) {
      for (const one of round % 2 === 0 ? chosen : chosen.toReversed())
        for (let slice = 0; slice < slices; slice++) await turns(one, round * slices + slice);
      console.error(`invocation: round ${round + 1} of ${rounds}`);
    }
    const date = new Date().toISOString().slice(0, 10);
    const results = chosen.map(({ figures, ...one }) => ({
      ...one,
      ...Object.fromEntries(WAYS.map((way, index) => [way, figures[index]])),
    }));
    const machine = `${describeMachine()}; load by ${generator.label}`;
    const run = { date, machine, others: middle(others), settings, results };
    const text = invokeReport(run);
    const folder = new URL('../.results/bench/', import.meta.url);
    mkdirSync(folder, { recursive: true });
    writeFileSync(new URL('invoke.json', folder), JSON.stringify(run, undefined, 1));
    if (settings.write) intoPage('invoke', text);
    console.log(text);
    if (process.env['BENCH_STRICT'] === '1' && results.some((one) => !verdict(one).met)) process.exitCode = 1;
  } finally {
    await Promise.all(children.map((child) => child.stop()));
  }
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
