import { Flag, FrameType, h2Frame, PREFACE, Setting, settings, uint32 } from '../support/h2/frames.js';
import { encodeHeaders, type HeaderField } from '../support/h2/hpack.js';
import type { Random } from '../wire/random.js';

/** Bytes that a client sends on a connection of its own, and that break HTTP/2's rules or strain them. */
export interface Abuse {
  what: string;
  bytes: Buffer;
}

const START = Buffer.concat([PREFACE, h2Frame(FrameType.SETTINGS, 0, 0)]);

/** @param request headers of a request that the peer serves */
export function h2Abuse(random: Random, request: readonly HeaderField[]): Abuse {
  const block = encodeHeaders(request);
  const head = (stream: number, flags = Flag.END_HEADERS as number): Buffer =>
    h2Frame(FrameType.HEADERS, flags, stream, block);
  const [what, frames] = random.pick<readonly [string, () => Buffer[]]>([
    ['no preface', () => [Buffer.from(random.bytes(60))]],
    ['HTTP/1.1', () => [Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')]],
    ['half a preface', () => [PREFACE.subarray(0, random.below(24))]],
    ['nothing after the preface', () => [PREFACE]],
    ['random frames', () => [START, ...many(20, () => aFrame(random))]],
    ['mutated frames', () => [START, Buffer.from(random.mutate(Buffer.concat([head(1), head(3)])))]],
    ['a frame that is too large', () => [START, h2Frame(FrameType.DATA, 0, 1, Buffer.alloc(20_000))]],
    ['a frame that is cut off', () => [START, head(1).subarray(0, 12)]],
    ['settings of 5 bytes', () => [PREFACE, h2Frame(FrameType.SETTINGS, 0, 0, Buffer.alloc(5))]],
    ['settings on a stream', () => [PREFACE, h2Frame(FrameType.SETTINGS, 0, 1)]],
    [
      'settings out of range',
      () => {
        const bad = random.pick<[Setting, number]>([
          [Setting.INITIAL_WINDOW_SIZE, 0xffffffff],
          [Setting.MAX_FRAME_SIZE, 1],
          [Setting.ENABLE_PUSH, 7],
        ]);
        return [PREFACE, h2Frame(FrameType.SETTINGS, 0, 0, settings([bad]))];
      },
    ],
    [
      'a header block that is none',
      () => [START, h2Frame(FrameType.HEADERS, Flag.END_HEADERS, 1, random.bytes(40))],
    ],
    [
      'an index that does not exist',
      () => [START, h2Frame(FrameType.HEADERS, Flag.END_HEADERS, 1, Buffer.of(0xff, 0xff, 0xff, 0x7f))],
    ],
    [
      'an integer without end',
      () => [START, h2Frame(FrameType.HEADERS, Flag.END_HEADERS, 1, Buffer.alloc(30, 0xff))],
    ],
    ['a continuation of nothing', () => [START, h2Frame(FrameType.CONTINUATION, Flag.END_HEADERS, 1, block)]],
    [
      'headers that are never continued',
      () => [START, head(1, 0), h2Frame(FrameType.PING, 0, 0, Buffer.alloc(8))],
    ],
    [
      'a flood of continuations',
      () => [START, head(1, 0), ...many(3_000, () => h2Frame(FrameType.CONTINUATION, 0, 1, Buffer.alloc(4)))],
    ],
    ['data on no stream', () => [START, h2Frame(FrameType.DATA, 0, 0, Buffer.alloc(4))]],
    ['data on a stream that is not open', () => [START, h2Frame(FrameType.DATA, 0, 9, Buffer.alloc(4))]],
    ['data after the end', () => [START, head(1, 5), h2Frame(FrameType.DATA, 0, 1, Buffer.alloc(4))]],
    ['headers after the end', () => [START, head(1, 5), head(1)]],
    ['an even stream', () => [START, head(2)]],
    ['streams backwards', () => [START, head(9), head(3)]],
    ['headers on no stream', () => [START, head(0)]],
    [
      'a push',
      () => [START, h2Frame(FrameType.PUSH_PROMISE, Flag.END_HEADERS, 1, Buffer.concat([uint32(2), block]))],
    ],
    [
      'padding beyond the frame',
      () => [
        START,
        h2Frame(FrameType.HEADERS, 12, 1, Buffer.concat([Buffer.of(255), block.subarray(0, 20)])),
      ],
    ],
    [
      'a stream that depends on itself',
      () => [START, h2Frame(FrameType.PRIORITY, 0, 1, Buffer.from([0, 0, 0, 1, 5]))],
    ],
    [
      'a window of 0 more',
      () => [START, head(1), h2Frame(FrameType.WINDOW_UPDATE, 0, random.pick([0, 1]), uint32(0))],
    ],
    [
      'a window beyond its end',
      () => [
        START,
        head(1),
        ...many(2, () => h2Frame(FrameType.WINDOW_UPDATE, 0, random.pick([0, 1]), uint32(0x7fffffff))),
      ],
    ],
    ['a reset of an idle stream', () => [START, h2Frame(FrameType.RST_STREAM, 0, 77, uint32(8))]],
    ['a reset of 3 bytes', () => [START, head(1), h2Frame(FrameType.RST_STREAM, 0, 1, Buffer.alloc(3))]],
    ['a ping of 7 bytes', () => [START, h2Frame(FrameType.PING, 0, 0, Buffer.alloc(7))]],
    ['goaway', () => [START, head(1), h2Frame(FrameType.GOAWAY, 0, 0, Buffer.alloc(8))]],
    ['goaway of 3 bytes', () => [START, h2Frame(FrameType.GOAWAY, 0, 0, Buffer.alloc(3))]],
    ['a flood of pings', () => [START, ...many(3_000, () => h2Frame(FrameType.PING, 0, 0, Buffer.alloc(8)))]],
    ['a flood of settings', () => [START, ...many(3_000, () => h2Frame(FrameType.SETTINGS, 0, 0))]],
    [
      'a flood of priorities',
      () => [START, ...many(3_000, () => h2Frame(FrameType.PRIORITY, 0, 3, Buffer.from([0, 0, 0, 0, 5])))],
    ],
    ['a flood of empty data', () => [START, head(1), ...many(3_000, () => h2Frame(FrameType.DATA, 0, 1))]],
    [
      'streams opened and reset',
      () => [
        START,
        ...many(600, (n) =>
          Buffer.concat([head(2 * n + 1), h2Frame(FrameType.RST_STREAM, 0, 2 * n + 1, uint32(8))]),
        ),
      ],
    ],
    ['more streams than allowed', () => [START, ...many(1_500, (n) => head(2 * n + 1))]],
    [
      'frames of unknown types',
      () => [
        START,
        ...many(50, () =>
          h2Frame(20 + random.below(200), random.below(256), random.below(8), random.bytes(9)),
        ),
      ],
    ],
    [
      'altsvc and origin',
      () => [START, h2Frame(10, 0, 0, Buffer.alloc(9)), h2Frame(12, 0, 0, Buffer.alloc(9))],
    ],
  ]);
  return { what, bytes: Buffer.concat(frames()) };
}

function aFrame(random: Random): Buffer {
  return h2Frame(
    random.below(11),
    random.below(256),
    random.pick([0, 1, 2, 3, 0x7fffffff]),
    random.bytes(random.below(40)),
  );
}

function many(count: number, one: (index: number) => Buffer): Buffer[] {
  return Array.from({ length: count }, (_, index) => one(index));
}
