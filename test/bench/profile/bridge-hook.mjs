/**
 * Preloaded into the bridge (`node --import`): profiles between two SIGUSR2 and writes the profile to the file that
 * BENCH_CPU_PROFILE names. `node --cpu-prof` would also hold the start, when everything is still being compiled.
 */
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';

let session;
process.on('SIGUSR2', async () => {
  if (session === undefined) {
    session = new Session();
    session.connect();
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: 250 });
    await session.post('Profiler.start');
    return;
  }
  const { profile } = await session.post('Profiler.stop');
  session.disconnect();
  session = undefined;
  writeFileSync(process.env['BENCH_CPU_PROFILE'], JSON.stringify(profile));
});
