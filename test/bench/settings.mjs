/**
 * What a run measures, from the environment.
 *
 * @param {Record<string, string | undefined>} env
 * @throws if a value makes no sense; the message names it
 */
export function readSettings(env) {
  const full = flag(env, 'BENCH_FULL');
  return {
    /** All doors, calls, sizes and settings, instead of those that tell most. */
    full,
    /** Cases whose id does not match are left out. */
    only: pattern(env, 'BENCH_ONLY'),
    rounds: number(env, 'BENCH_ROUNDS', full ? 5 : 7),
    /** Seconds of each case in each round. */
    seconds: number(env, 'BENCH_SECONDS', 1),
    /** Seconds, for the whole run, to wait for moments when no other program takes much of the machine. */
    patience: number(env, 'BENCH_PATIENCE', 0, 0),
    /** Priority of everything that is measured; below 0 needs root. */
    nice: number(env, 'BENCH_NICE', 0, -20),
    /** Envoy's threads. */
    workers: number(env, 'BENCH_WORKERS', 1),
    /** `h2load` or `node`; undefined takes the better one that is there. */
    load: choice(env, 'BENCH_LOAD', ['h2load', 'node']),
    daprd: env['DAPRD_BIN'] || undefined,
    /** Whether docs/performance.md gets the result. */
    write: flag(env, 'BENCH_WRITE'),
  };
}

function flag(env, name) {
  return choice(env, name, ['0', '1']) === '1';
}

function choice(env, name, values) {
  const value = env[name] || undefined;
  if (value !== undefined && !values.includes(value))
    throw new Error(`${name} is ${value}, it can be ${values.join(' or ')}`);
  return value;
}

function number(env, name, fallback, least = Number.MIN_VALUE) {
  const value = Number(env[name] || fallback);
  const wanted = least === Number.MIN_VALUE ? 'above 0' : `of at least ${least}`;
  if (!(value >= least)) throw new Error(`${name} is ${env[name]}, it must be a number ${wanted}`);
  return value;
}

function pattern(env, name) {
  try {
    return new RegExp(env[name] ?? '');
  } catch (error) {
    throw new Error(`${name} is no regular expression: ${error.message}`, { cause: error });
  }
}
