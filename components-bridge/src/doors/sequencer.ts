import { clip } from '../policy/clip.js';
import * as pb from '../gen/layotto/bridge/v1/sequencer_pb.js';
import { Code } from '../primitives/errors.js';
import { forwarded, LAYOTTO, NOT_PROTOBUF } from './method.js';
import type { Behind, UnaryMethod } from './method.js';
import type { Refused } from './refused.js';

const SEQUENCER = 'sequencer';
const { WEAK, STRONG } = pb.SequencerOptions_AutoIncrement;

/** Layotto's sequencer method; Dapr has none. Each id is asked for: runs of them are for filters. */
export function sequencerMethods(): UnaryMethod[] {
  return [
    forwarded({
      path: `${LAYOTTO}GetNextId`,
      primitive: SEQUENCER,
      operation: `${pb.Sequencer.typeName}/GetNextId`,
      request: pb.GetNextIdRequestSchema,
      malformed: refused(NOT_PROTOBUF),
      component: ({ storeName }) => storeName,
      check,
      failed: ({ code, message }) => ({ code, message: clip(message) }),
    }),
  ];
}

/** The first thing wrong with a call, in Layotto's order. */
function check({ storeName, key, options }: pb.GetNextIdRequest, behind: Behind): Refused | undefined {
  const found = behind.find(SEQUENCER, storeName) !== undefined;
  if (!found && !behind.serves(SEQUENCER)) {
    return { code: Code.FAILED_PRECONDITION, message: 'Sequencer store is not configured' };
  }
  if (key === '') return refused(`Key is empty in sequencer store ${clip(storeName)}`);
  if (!found) return refused(`Sequencer store ${clip(storeName)} not found`);
  const increment = options?.increment ?? WEAK;
  return increment === WEAK || increment === STRONG ? undefined : refused('options.Increment is illegal');
}

function refused(message: string): Refused {
  return { code: Code.INVALID_ARGUMENT, message };
}
