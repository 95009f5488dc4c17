import type { Admin, Consumer } from 'kafkajs';

import { settledAfter } from './progress.js';
import type { Progress } from './progress.js';

/** What a group has committed for a partition; offset -1: nothing. */
interface Commit {
  offset: number;
  metadata: string;
}

/** What a group has committed, by partition. */
export async function commitsOf(admin: Admin, group: string, topic: string): Promise<Map<number, Commit>> {
  const [found] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
  return new Map(
    (found?.partitions ?? []).map(({ partition, offset, metadata }) => [
      partition,
      { offset: Number(offset), metadata: metadata ?? '' },
    ]),
  );
}

/**
 * Messages that a group has not settled.
 *
 * @param own partitions of which more is known here than was committed
 * @param fromOldest where the group begins
 */
export async function lagOf(
  admin: Admin,
  group: string,
  topic: string,
  own: ReadonlyMap<number, Progress>,
  fromOldest: boolean,
): Promise<number> {
  const [ends, commits] = await Promise.all([admin.fetchTopicOffsets(topic), commitsOf(admin, group, topic)]);
  let lag = 0;
  for (const { partition, high, low } of ends) {
    const end = Number(high);
    const progress = own.get(partition);
    const commit = commits.get(partition);
    if (progress !== undefined && progress.low >= 0) lag += Math.max(0, end - progress.low - progress.ahead);
    else if (commit !== undefined && commit.offset >= 0)
      lag += Math.max(0, end - commit.offset - settledAfter(commit));
    else if (fromOldest) lag += end - Number(low);
  }
  return lag;
}

/**
 * Has a new group begin at the end of its partitions, and notes that at once: what is published from now on is the
 * group's even if this member is gone before it has settled anything. A partition that is new to a group that is not
 * begins at its beginning.
 */
export async function newest(
  admin: Admin,
  consumer: Consumer,
  group: string,
  topic: string,
  partitions: readonly number[],
): Promise<void> {
  const [ends, commits] = await Promise.all([admin.fetchTopicOffsets(topic), commitsOf(admin, group, topic)]);
  const known = [...commits.values()].some(({ offset }) => offset >= 0);
  const begin = ends
    .filter(({ partition }) => partitions.includes(partition) && (commits.get(partition)?.offset ?? -1) < 0)
    .map(({ partition, high, low }) => ({ topic, partition, offset: known ? low : high }));
  if (begin.length === 0) return;
  await consumer.commitOffsets(begin);
  for (const one of begin) consumer.seek(one);
}
