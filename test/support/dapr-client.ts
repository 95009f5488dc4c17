import { CommunicationProtocolEnum, DaprClient } from '@dapr/dapr';
import { GRPC_SERVERS, type Runtime } from './runtime.js';

/** The client reports refusals on the console as well; they are wanted in tests. */
const SILENT = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  verbose: () => undefined,
  debug: () => undefined,
};

/** What the published Dapr client speaks, with names for people, and to whom. */
export const DAPR_DOORS: readonly DaprDoor[] = [
  ['HTTP', 'HTTP', CommunicationProtocolEnum.HTTP, ({ port }) => port],
  ...GRPC_SERVERS.map(([by, portOf]): DaprDoor => [
    `gRPC, by ${by}`,
    'gRPC',
    CommunicationProtocolEnum.GRPC,
    portOf,
  ]),
];

type DaprDoor = [
  title: string,
  protocol: 'HTTP' | 'gRPC',
  communicationProtocol: CommunicationProtocolEnum,
  portOf: (runtime: Runtime) => number,
];

/** The published Dapr client, unmodified, at a port of 127.0.0.1, started; it logs nothing. */
export async function startDaprClient(
  port: number,
  communicationProtocol: CommunicationProtocolEnum,
): Promise<DaprClient> {
  const options = { daprHost: '127.0.0.1', daprPort: String(port), communicationProtocol };
  const client = new DaprClient({ ...options, logger: { service: SILENT } });
  await client.start();
  return client;
}
