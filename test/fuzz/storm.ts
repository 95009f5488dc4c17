import type { Target } from '../support/http1.js';
import { H2Connection } from '../support/h2/connection.js';
import { describeCase, randomOf, type FuzzCase, type H1Case, type H2Case } from './cases.js';
import { judge, type Answer, type Verdict } from './judge.js';
import { hangUp, NOTHING, pipeline, poke } from './send-h1.js';
import { H2Pool, sendH2 } from './send-h2.js';

/** Inputs are sent in groups of so many; those over HTTP/1.1 share a connection, one behind the other. */
const GROUP = 8;
/** Connections that inputs over HTTP/2 share. */
const CONNECTIONS = 6;
/** The longest an answer may take: far more than any deadline, so that only a hang reaches it. */
export const HANG_MS = 20_000;
/** After so many problems nothing more is sent. */
const ENOUGH = 5;

/** An input that went wrong. */
export interface Problem {
  index: number;
  text: string;
}

/** What a storm came to. */
export interface StormResult {
  sent: number;
  /** How often each kind of answer came. */
  kinds: Map<string, number>;
  problems: Problem[];
}

/** What to send, and how to tell that enough has been sent. */
export interface StormOptions {
  seed: number;
  /** Number of the first input. */
  from: number;
  count: number;
  /** Groups under way at a time. */
  groups?: number;
  /** Asked before each group; false ends the storm. */
  goOn?: () => boolean;
}

/** Sends inputs, many at a time, until there are no more or too many went wrong. */
export async function storm(
  { from, count, groups = 128, goOn = () => true }: StormOptions,
  group: (indexes: readonly number[]) => Promise<Verdict[]>,
  describe: (index: number) => string,
  result: StormResult = { sent: 0, kinds: new Map(), problems: [] },
): Promise<StormResult> {
  let next = from;
  const end = from + count;
  const loop = async (): Promise<void> => {
    while (next < end && result.problems.length < ENOUGH && goOn()) {
      const indexes = Array.from({ length: Math.min(GROUP, end - next) }, () => next++);
      const verdicts = await group(indexes);
      verdicts.forEach((verdict, at) => {
        const index = indexes[at] ?? NaN;
        result.sent++;
        if ('problem' in verdict) {
          result.problems.push({ index, text: `input ${index}: ${verdict.problem}\n${describe(index)}` });
        } else {
          result.kinds.set(verdict.kind, (result.kinds.get(verdict.kind) ?? 0) + 1);
        }
      });
    }
  };
  await Promise.all(Array.from({ length: groups }, loop));
  return result;
}

/** A storm on a door of Envoy. @param make the input of a number */
export async function doorStorm(
  target: Target,
  options: StormOptions,
  make: (index: number) => FuzzCase,
  result?: StormResult,
): Promise<StormResult> {
  const pool = new H2Pool(target, CONNECTIONS);
  const sender = new DoorSender(target, pool, options.seed);
  try {
    const group = (indexes: readonly number[]): Promise<Verdict[]> => sender.group(indexes, make);
    return await storm(options, group, (index) => describeCase(make(index)), result);
  } finally {
    await pool.close();
  }
}

class DoorSender {
  constructor(
    private readonly target: Target,
    private readonly pool: H2Pool,
    private readonly seed: number,
  ) {}

  async group(indexes: readonly number[], make: (index: number) => FuzzCase): Promise<Verdict[]> {
    const inputs = indexes.map(make);
    const lined = inputs.filter((input): input is H1Case => isOrderly(input));
    const answers = this.inLine(lined);
    return Promise.all(
      inputs.map((input, at) => {
        if (input.wire === 'raw') return abused(this.target, input);
        const place = lined.indexOf(input as H1Case);
        const answer =
          place >= 0
            ? answers.then((all) => all[place] ?? NOTHING)
            : input.wire === 'h1'
              ? this.byItself(input)
              : this.overHttp2(input, indexes[at] ?? 0);
        return verdictOf(input, answer);
      }),
    );
  }

  /** One behind the other. Those that an earlier one's end took along are sent again by themselves. */
  private async inLine(inputs: readonly H1Case[]): Promise<Answer[]> {
    if (inputs.length === 0) return [];
    const answers = await pipeline(this.target, inputs);
    for (const input of inputs.slice(answers.length)) {
      const [answer] = await pipeline(this.target, [input]);
      answers.push(answer ?? { ...NOTHING, lost: true });
    }
    return answers;
  }

  private async byItself(input: H1Case): Promise<Answer> {
    if (input.ending === 'hang-up') return hangUp(this.target, input);
    const [answer] = await pipeline(this.target, [input]);
    return answer ?? { ...NOTHING, lost: true };
  }

  private async overHttp2(input: H2Case, index: number): Promise<Answer | undefined> {
    const pauseMs = randomOf(this.seed, -index).pick([0, 0, 1, 3]);
    if (!input.notHttp && input.ending !== 'hang-up') {
      const answer = await this.pool.lend(index, (connection) => sendH2(connection, input, false, pauseMs));
      if (answer?.lost !== true) return answer;
      // Another input may have broken the connection; by itself it shows whether this one does.
    }
    return sendH2(await H2Connection.open(this.target), input, true, pauseMs);
  }
}

function isOrderly(input: FuzzCase): boolean {
  return input.wire === 'h1' && input.ending === 'end' && !input.notHttp;
}

/** Whether the peer puts up with an abuse or ends the connection is its own affair; the next inputs show that it lives. */
export async function abused(target: Target, { parts }: { parts: readonly Uint8Array[] }): Promise<Verdict> {
  return within(HANG_MS, async () => {
    const { closed } = await poke(target, parts);
    return { kind: closed ? 'abuse: connection closed' : 'abuse: connection left open' };
  });
}

/** The verdict on an answer, or on its absence. */
async function verdictOf(input: H1Case | H2Case, answer: Promise<Answer | undefined>): Promise<Verdict> {
  return within(HANG_MS, async () => {
    const whole = await answer;
    if (whole === undefined) return { kind: `given up (${input.ending})` };
    if (input.ending === 'hang-up' && !whole.complete)
      return { kind: input.notHttp ? 'not HTTP: silence or closed' : 'given up (hang-up)' };
    return judge(input, whole);
  });
}

/** A verdict that has to come within a time, and without an error. */
export async function within(ms: number, action: () => Promise<Verdict>): Promise<Verdict> {
  let timer: NodeJS.Timeout | undefined;
  const hang = new Promise<Verdict>((resolve) => {
    timer = setTimeout(() => resolve({ problem: `no answer within ${ms} ms` }), ms);
  });
  try {
    return await Promise.race([hang, action()]);
  } catch (error) {
    return { problem: (error as Error).message };
  } finally {
    clearTimeout(timer);
  }
}
