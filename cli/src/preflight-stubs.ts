import type { HostEmulator } from './emulator/emulator.js';

/** Answers that a function gets in one trial; one that asks for more is not waited for. */
const MOST_ANSWERS = 64;
const FRAMES = {
  /** A frame of the session (proto/layotto/bridge/v1/session.proto): kind HELLO, with protocol 1. */
  hello: Buffer.from([0x10, 0x01, 0x7a, 0x02, 0x08, 0x01]),
  /** Kind RESULT with an empty message: nothing found, saved, or published. */
  result: (id: number) => Buffer.from([0x08, id, 0x10, 0x03]),
};
const ID_TAG = 0x08;
const REQUEST = 2;

/**
 * Answers whatever a function asks for until it asks for nothing more: the bridge says that there is nothing, or that it
 * is done; other functions and apps answer 200 without a body.
 */
export function answerAll(host: HostEmulator): void {
  const read = new Map<number, number>();
  for (let answers = 0; answers < MOST_ANSWERS; answers++) {
    const [call] = host.http.open.values();
    if (call !== undefined) host.callOnHttpCallResponse(call.token, { ':status': '200' });
    else if (!answerSession(host, read)) return;
  }
}

/** @param read how many frames of each stream were read @returns whether there was something to answer */
function answerSession(host: HostEmulator, read: Map<number, number>): boolean {
  for (const { token, sent } of host.grpcStreams) {
    const at = read.get(token) ?? 0;
    const frame = sent[at];
    if (frame === undefined) continue;
    read.set(token, at + 1);
    if (at === 0) host.callOnGrpcReceive(token, FRAMES.hello);
    // Ids count from 1, so within one trial they take one byte, and the kind stands behind them.
    else if (frame[0] === ID_TAG && frame[3] === REQUEST)
      host.callOnGrpcReceive(token, FRAMES.result(frame[1] ?? 0));
    return true;
  }
  return false;
}
