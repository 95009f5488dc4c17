/**
 * The quick start: the same runtime through five doors. Run it beside a runtime:
 * `layotto run -- node examples/quickstart/run.mjs`. Each door is a file of its own under doors/.
 */
import { CommunicationProtocolEnum } from '@dapr/dapr';

import { startApp } from './app.mjs';
import { daprHttp } from './doors/dapr-http.mjs';
import { daprSdk } from './doors/dapr-sdk.mjs';
import { json } from './doors/json.mjs';
import { layottoGrpc } from './doors/layotto-grpc.mjs';
import { Report } from './report.mjs';

// "layotto run" puts the address into the environment of the app it starts.
const at = {
  host: process.env.runtime_GRPC_HOST ?? '127.0.0.1',
  port: process.env.runtime_GRPC_PORT ?? '34904',
  store: 'statestore',
  // Keys nobody else uses, whatever the store holds from before.
  prefix: `quickstart-${Date.now().toString(36)}-`,
  // The app's own side, as far as the runtime knows where it is.
  id: process.env.APP_ID,
  app: process.env.APP_PORT === undefined ? undefined : await startApp(Number(process.env.APP_PORT)),
};

const report = new Report();
await report.door('Layotto gRPC', (step) => layottoGrpc(at, step));
await report.door('Dapr HTTP', (step) => daprHttp(at, step));
await report.door('@dapr/dapr HTTP', (step) => daprSdk(at, CommunicationProtocolEnum.HTTP, step));
await report.door('@dapr/dapr gRPC', (step) => daprSdk(at, CommunicationProtocolEnum.GRPC, step));
await report.door('JSON', (step) => json(at, step));
at.app?.stop();
process.exitCode = report.end();
