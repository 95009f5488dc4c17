import { readFileSync } from 'node:fs';

import { parseTrapLimit, RUNTIME_SLOT } from '../../components-bridge/src/config/slots.js';
import { ask, tell } from './control-client.js';
import { MOST_CONFIGURATION_BYTES } from './control-server.js';
import { UsageError, UserError, messageOf } from './errors.js';
import { readModuleFile } from './module-file.js';
import { titleOf } from './module-slots.js';
import type { SlotView } from './module-slots.js';
import { text } from './options.js';
import type { Option, Values } from './options.js';
import { Running, RUNNING_OPTIONS } from './running.js';
import { aligned } from './table.js';

export const MODULE_PUSH_OPTIONS: readonly Option[] = [
  ...RUNNING_OPTIONS,
  { name: 'name', value: 'SLOT', help: `where to put it (${RUNTIME_SLOT})` },
  { name: 'config', value: 'FILE', help: 'what the module is configured with; not for the runtime' },
  { name: 'root-id', value: 'ID', help: "the root id of the module's own; not for the runtime" },
  {
    name: 'rollback-on-trap',
    value: 'N in TIME',
    help: 'roll it back when it traps so often, such as "3 in 60s"',
  },
];
export const MODULE_LIST_OPTIONS: readonly Option[] = [
  ...RUNNING_OPTIONS,
  { name: 'json', help: 'print everything as JSON' },
];

/**
 * `layotto module push FILE`: puts a module into a slot of a running runtime.
 *
 * @returns 0 when it serves
 * @throws UserError if it is refused; then everything stays as it is
 */
export async function modulePush(values: Values, [path = '']: readonly string[]): Promise<number> {
  const slot = text(values, 'name') ?? RUNTIME_SLOT;
  const { wasm } = readModuleFile(path);
  const query = new URLSearchParams({ slot, length: String(wasm.length) });
  const limit = text(values, 'rollback-on-trap');
  if (limit !== undefined) {
    if (parseTrapLimit(limit) === undefined)
      throw new UsageError(
        `--rollback-on-trap needs a number of traps and a time, such as "3 in 60s", not '${limit}'`,
      );
    query.set('rollbackOnTrap', limit);
  }
  const rootId = text(values, 'root-id');
  const file = text(values, 'config');
  if (slot === RUNTIME_SLOT && (rootId !== undefined || file !== undefined))
    throw new UsageError(
      'the runtime has its configuration from layotto.yaml; --config and --root-id go with --name',
    );
  if (rootId !== undefined) query.set('rootId', rootId);
  if (file !== undefined) query.set('configured', '');
  const configuration = file === undefined ? Buffer.alloc(0) : readConfiguration(file);
  const running = Running.find(values);
  return tell(
    running,
    `/modules/push?${query.toString()}`,
    Buffer.concat([wasm, configuration]),
    `${path}: `,
  );
}

/** What a module is configured with, as it stands in a file. @throws UserError */
export function readConfiguration(file: string): Buffer {
  let content;
  try {
    content = readFileSync(file);
  } catch (error) {
    throw new UserError(messageOf(error));
  }
  if (content.length > MOST_CONFIGURATION_BYTES)
    throw new UserError(`${file}: a configuration has at most ${MOST_CONFIGURATION_BYTES} bytes`);
  return content;
}

/** `layotto module list`: what is in each slot. */
export async function moduleList(values: Values): Promise<number> {
  const slots = (await ask(Running.find(values), 'GET', '/modules')) as SlotView[];
  if (values['json'] === true) {
    console.log(JSON.stringify(slots, null, 2));
    return 0;
  }
  const rows = slots.flatMap(({ slot, history, traps, note }) => {
    const own = slot === RUNTIME_SLOT ? 'the installed module' : 'empty';
    const lines = history.map((one) => [titleOf(one), `pushed ${one.at}`]).reverse();
    const all = [...lines, [own, '']];
    return [
      ...all.map((line, i) => [i === 0 ? slot : '', i === 0 ? 'serves' : 'before', ...line]),
      ...(traps === 0 ? [] : [['', `trapped ${traps} times since Envoy started`]]),
      ...(note === undefined ? [] : [['', note]]),
    ];
  });
  // Sentences make no columns.
  console.log(aligned(rows.filter((row) => row.length !== 2)));
  for (const [, sentence] of rows.filter((row) => row.length === 2)) console.log(sentence);
  return 0;
}

/** `layotto module rollback [SLOT]`: what served before serves again. */
export function moduleRollback(values: Values, [slot = RUNTIME_SLOT]: readonly string[]): Promise<number> {
  return tell(Running.find(values), `/modules/rollback?${new URLSearchParams({ slot }).toString()}`);
}

/** `layotto module remove SLOT`: takes every pushed module out of a slot. */
export function moduleRemove(values: Values, [slot = '']: readonly string[]): Promise<number> {
  return tell(Running.find(values), `/modules/remove?${new URLSearchParams({ slot }).toString()}`);
}
