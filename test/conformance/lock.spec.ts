import { bySentinel, cluster, embedded, server } from './coordination.js';
import { lockConformance } from './lock.js';

lockConformance({ backend: 'embedded', setup: 'one process' }, () => embedded('lock.embedded'));
lockConformance({ backend: 'redis', setup: 'Redis' }, () => server('lock.redis', 'redis'));
lockConformance({ backend: 'redis', setup: 'Valkey' }, () => server('lock.redis', 'valkey'));
lockConformance({ backend: 'redis', setup: 'Valkey by Sentinel' }, () => bySentinel('lock.redis'));
lockConformance({ backend: 'redis', setup: 'Valkey Cluster' }, () => cluster('lock.redis_cluster'));
