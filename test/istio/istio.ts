import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

type Json = Record<string, unknown>;

/** What Istio makes of resources, see main.go. */
export interface Made {
  problems: string[] | null;
  warnings: string[] | null;
  listeners: Json[] | null;
  clusters: Json[] | null;
  endpoints: Json[] | null;
  routes: Json[] | null;
  extensions: Json[] | null;
}

export interface Asked {
  /** YAML documents. */
  resources: string;
  sidecar?: { namespace: string; labels: Record<string, string>; istioVersion: string };
  agent?: { folder: string; insecureHosts: string[] };
}

/** Where `scripts/verify-istio.mjs` puts the program. */
const program = fileURLToPath(new URL('../../.tools/istio-verify', import.meta.url));

/**
 * Asks Istio's own code.
 *
 * @throws Error with what the program wrote if it ended with an error
 */
export function askIstio(asked: Asked): Promise<Made> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, { stdio: ['pipe', 'pipe', 'pipe'] });
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(output) as Made);
      else reject(new Error(`${program} ended with ${code}: ${errors}`));
    });
    child.stdin.end(JSON.stringify(asked));
  });
}
