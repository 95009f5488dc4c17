import { reasonOf } from '../../primitives/errors.js';

/** Nobody answered, or nobody who could be understood. Whether anything was done is not known. */
export class ApolloUnavailable extends Error {
  override name = 'ApolloUnavailable';
}

/** Apollo answered that it does not do what it was asked. */
export class ApolloRefused extends Error {
  override name = 'ApolloRefused';

  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Longest answer that is read, in bytes. */
const LONGEST_ANSWER = 16 * 1024 * 1024;

/** How much of an answer is shown in a message, in characters. */
const SHOWN = 200;

export interface Question {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

export interface Answer {
  status: number;
  text: string;
}

/**
 * Asks one server.
 *
 * @throws ApolloUnavailable if no answer came in time, or one that is too long, or one of a server in trouble
 */
export async function ask(url: string, question: Question): Promise<Answer> {
  const { timeoutMs, signal, ...rest } = question;
  const timeout = AbortSignal.timeout(timeoutMs);
  const { host } = new URL(url);
  const signals = signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
  let answer: Answer;
  try {
    const response = await fetch(url, { ...rest, redirect: 'error', signal: signals });
    answer = { status: response.status, text: await textOf(response) };
  } catch (error) {
    throw new ApolloUnavailable(`${host}: ${timeout.aborted ? 'no answer in time' : causeOf(error)}`);
  }
  if (answer.status >= 500 || answer.status === 429)
    throw new ApolloUnavailable(`${host}: it answered ${answer.status} ${shown(answer.text)}`);
  return answer;
}

/** JSON in an answer. @throws ApolloUnavailable if it is none */
export function json(url: string, { text }: Answer): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ApolloUnavailable(`${new URL(url).host}: it is no Apollo, it answered ${shown(text)}`);
  }
}

/** What an answer that refuses says. */
export function refusal({ status, text }: Answer, advice = ''): ApolloRefused {
  let message = text;
  try {
    const parsed = JSON.parse(text) as { message?: unknown; error?: unknown };
    const said = parsed.message ?? parsed.error;
    if (typeof said === 'string') message = said;
  } catch {
    // Then it is told as it is.
  }
  return new ApolloRefused(status, `Apollo answered ${status} ${shown(message)}${advice}`);
}

function shown(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > SHOWN ? `${line.slice(0, SHOWN)}…` : line;
}

async function textOf(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += (part as Uint8Array).length;
    if (length > LONGEST_ANSWER) throw new Error(`the answer is longer than ${LONGEST_ANSWER} bytes`);
    parts.push(part as Uint8Array);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** `fetch` says only that it failed; its cause says why. */
function causeOf(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  return reasonOf(cause ?? error);
}
