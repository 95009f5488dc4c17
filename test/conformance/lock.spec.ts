import { bySentinel, cluster, embedded, etcd, server } from './coordination.js';
import { lockConformance } from './lock.js';

lockConformance('the embedded store', () => embedded('lock.embedded'));
lockConformance('Redis', () => server('lock.redis', 'redis'));
lockConformance('Valkey', () => server('lock.redis', 'valkey'));
lockConformance('Valkey by Sentinel', () => bySentinel('lock.redis'));
lockConformance('Valkey Cluster', () => cluster('lock.redis_cluster'));
lockConformance('etcd', () => etcd('lock.etcd'));
