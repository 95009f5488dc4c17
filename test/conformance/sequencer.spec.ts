import { bySentinel, cluster, embedded, etcd, server } from './coordination.js';
import { sequencerConformance } from './sequencer.js';

sequencerConformance('the embedded store', () => embedded('sequencer.embedded'));
sequencerConformance('Redis', () => server('sequencer.redis', 'redis'));
sequencerConformance('Valkey', () => server('sequencer.redis', 'valkey'));
sequencerConformance('Valkey by Sentinel', () => bySentinel('sequencer.redis'));
sequencerConformance('Valkey Cluster', () => cluster('sequencer.redis'));
sequencerConformance('etcd', () => etcd('sequencer.etcd'), {
  segments: false,
  raises: false,
});
