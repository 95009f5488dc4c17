/**
 * Prints every resource with the layotto command: `node examples/istio/render.mjs` writes them to rendered/.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = new URL('.', import.meta.url);
const layotto = fileURLToPath(new URL('../../cli/bin/layotto.js', import.meta.url));

/** An image of the module by its version, and the digest of its manifest as a registry would tell it. */
const image = (version, digit) => [
  '--module-url',
  `oci://registry.example/layotto/runtime:${version}`,
  '--module-sha256',
  digit.repeat(64),
];
const FIRST = image('0.1.0', '1');
const NEXT = image('0.2.0', '2');

/** Arguments of the command by the file that holds what it prints. */
export const COMMANDS = {
  'envoyfilter.yaml': ['envoy', 'envoyfilter', '-c', 'layotto.yaml', ...FIRST],
  'envoyfilter-next.yaml': ['envoy', 'envoyfilter', '-c', 'layotto.yaml', ...NEXT],
  'trafficextension.yaml': ['envoy', 'trafficextension', '-c', 'layotto.yaml', ...FIRST],
  'wasmplugin.yaml': ['envoy', 'wasmplugin', '-c', 'layotto.yaml', ...FIRST],
};

/** What the command prints now. @param args its arguments */
export function print(args) {
  const env = { ...process.env, DAPR_API_TOKEN: '' };
  const { status, stdout, stderr } = spawnSync(process.execPath, [layotto, ...args], {
    cwd: here,
    env,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`layotto ${args.join(' ')} ended with ${status}: ${stderr}`);
  return stdout;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [file, args] of Object.entries(COMMANDS))
    writeFileSync(new URL(`rendered/${file}`, here), print(args));
}
