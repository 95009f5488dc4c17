import { findEnvoy, findInstallation, moduleHash } from './installation.js';
import { messageOf } from './errors.js';

/** `layotto version`: the package, the filter's module, Envoy and Node. A missing Envoy is said, and no failure. */
export async function version(): Promise<number> {
  const installation = findInstallation();
  const envoy = await findEnvoy(installation, (line) => console.error(line)).then(
    ({ version, path }) => `${version} (${path})`,
    (error: unknown) => `none: ${messageOf(error)}`,
  );
  console.log(`layotto ${installation.version}`);
  console.log(`module  ${moduleHash(installation)}`);
  console.log(`envoy   ${envoy}`);
  console.log(`node    ${process.versions.node}`);
  return 0;
}
