import { bridgeAdminSocket } from '../../components-bridge/src/config/sockets.js';
import type { BridgeOffer } from '../../envoy/module-info.js';
import { askSocket } from './socket-http.js';

/** What a running bridge says of itself, as far as it matters here. */
export interface BridgeReport extends BridgeOffer {
  /** Connected threads of Envoy, by their filter's version. */
  filters?: Record<string, number>;
  /** Of each function that events trigger, whether they do. */
  triggered?: Record<string, boolean>;
}

/** @returns undefined if no bridge answers in a data folder */
export async function bridgeReport(dataDir: string): Promise<BridgeReport | undefined> {
  const answer = await askSocket(bridgeAdminSocket(dataDir), '/health');
  return answer?.status === 200 ? (JSON.parse(answer.body) as BridgeReport) : undefined;
}
