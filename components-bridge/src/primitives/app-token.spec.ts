import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { eventually } from '../../../test/support/wait.js';

import { AppError } from './app-channel.js';
import { AppTokenFile } from './app-token.js';

let dir: string;
let lines: string[];
let tokens: string[];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'app-token-'));
  lines = [];
  tokens = [];
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const file = (): string => join(dir, 'token');

function opened(): AppTokenFile {
  const log = pino({}, { write: (line: string) => void lines.push(line) });
  return new AppTokenFile(file(), log, (token) => void tokens.push(token));
}

it('is what the file holds, without white space around it, also after a change', async () => {
  await writeFile(file(), ' hush\n');
  const token = opened();
  expect(token.value).toBe('hush');
  // As long as the one before.
  await writeFile(file(), 'other\n');
  await eventually('it is read again', () => token.value === 'other');
  // Who has it mounted may find nothing for a moment.
  await rm(file());
  await eventually('that is said', () => token.value === 'other' && lines.length === 1);
  expect(lines[0]).toContain('the token before it is used');
  expect(tokens).toEqual(['hush', 'other']);
  expect(lines.join()).not.toContain('other"');
});

it.each([undefined, '', 'two words', 'lines\nmore', 'ü', 'x'.repeat(9_000)])(
  'keeps calls from the app where there is none: %p',
  async (text) => {
    if (text !== undefined) await writeFile(file(), text);
    const token = opened();
    for (let n = 0; n < 2; n++) {
      const said = ((): unknown => {
        try {
          return token.value;
        } catch (error) {
          return error;
        }
      })();
      expect(said).toBeInstanceOf(AppError);
      expect(said).toMatchObject({ kind: 'away', message: expect.stringContaining(file()) as string });
    }
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('events wait');
    await writeFile(file(), 'hush');
    await eventually('it is there', () => {
      try {
        return token.value === 'hush';
      } catch {
        return false;
      }
    });
  },
);
