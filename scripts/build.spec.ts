import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const build = (): string =>
  execFileSync(process.execPath, [fileURLToPath(new URL('build.mjs', import.meta.url))], {
    encoding: 'utf8',
  });

test('what was built of the same sources is not built again', () => {
  build();
  expect(build()).toBe('');
}, 120_000);
