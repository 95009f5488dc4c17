import { CommunicationProtocolEnum, DaprClient } from '@dapr/dapr';

/** The client reports refusals on the console as well; they are wanted in tests. */
const SILENT = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  verbose: () => undefined,
  debug: () => undefined,
};

/** What the published Dapr client speaks, with names for people. */
export const DAPR_PROTOCOLS: readonly [string, CommunicationProtocolEnum][] = [
  ['HTTP', CommunicationProtocolEnum.HTTP],
  ['gRPC', CommunicationProtocolEnum.GRPC],
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
