import { bySentinel, cluster, embedded, etcd, server } from './coordination.js';
import { sequencerConformance } from './sequencer.js';

sequencerConformance({ backend: 'embedded', setup: 'one process' }, () => embedded('sequencer.embedded'));
sequencerConformance({ backend: 'redis', setup: 'Redis' }, () => server('sequencer.redis', 'redis'));
sequencerConformance({ backend: 'redis', setup: 'Valkey' }, () => server('sequencer.redis', 'valkey'));
sequencerConformance({ backend: 'redis', setup: 'Valkey by Sentinel' }, () => bySentinel('sequencer.redis'));
sequencerConformance({ backend: 'redis', setup: 'Valkey Cluster' }, () => cluster('sequencer.redis'));
sequencerConformance({ backend: 'etcd', setup: 'one member' }, () => etcd('sequencer.etcd'));
