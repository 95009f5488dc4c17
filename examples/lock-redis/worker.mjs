/** A worker that wants the lock `ledger`: does what its parent tells it, and tells what came of it. */
import { setTimeout as sleep } from 'node:timers/promises';

const { DAPR_HTTP_ENDPOINT: runtime } = process.env;
const [, , name, seconds] = process.argv;

async function call(path, body) {
  const answer = await fetch(`${runtime}/v1.0-alpha1/${path}/lockstore`, {
    method: 'POST',
    body: JSON.stringify({ resourceId: 'ledger', lockOwner: name, ...body }),
  });
  if (answer.status !== 200) throw new Error(await answer.text());
  return { token: answer.headers.get('layotto-fencing-token'), ...(await answer.json()) };
}

/** The token of the lock that it holds, or believes to hold. */
let token;

const commands = {
  async compete() {
    for (;;) {
      const answer = await call('lock', { expiryInSeconds: Number(seconds) });
      if (answer.success) {
        token = answer.token;
        process.send({ kind: 'taken', token });
        return;
      }
      await sleep(50);
    }
  },
  async write() {
    process.send({ kind: 'write', token });
  },
  async unlock() {
    process.send({ kind: 'unlocked', status: (await call('unlock', {})).status });
  },
};

process.on('message', (command) => void commands[command]());
process.on('disconnect', () => process.exit());
