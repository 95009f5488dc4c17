import kafkajs from 'kafkajs';
import type { PartitionAssigner } from 'kafkajs';

const { MemberAssignment, MemberMetadata } = kafkajs.AssignerProtocol;

const VERSION = 0;

/**
 * Kafka's own range assignment: the partitions of each topic are cut into ranges, one for each member that subscribes to
 * it. The client's own assigner takes all members to subscribe to what the leader does; here each subscription is a
 * member of its app's group, with its own topic. By its name and form, members may be other clients, such as Dapr.
 */
export const rangeAssigner: PartitionAssigner = ({ cluster }) => ({
  name: 'range',
  version: VERSION,

  protocol: ({ topics }) => ({
    name: 'range',
    metadata: MemberMetadata.encode({ version: VERSION, topics, userData: Buffer.alloc(0) }),
  }),

  async assign({ members }) {
    const subscribers = new Map<string, string[]>();
    for (const { memberId, memberMetadata } of members) {
      for (const topic of MemberMetadata.decode(memberMetadata)?.topics ?? []) {
        subscribers.set(topic, [...(subscribers.get(topic) ?? []), memberId]);
      }
    }
    // The leader may not subscribe to all of them.
    await cluster.addMultipleTargetTopics([...subscribers.keys()]);
    const shares = new Map<string, Record<string, number[]>>(members.map(({ memberId }) => [memberId, {}]));
    for (const [topic, memberIds] of subscribers) {
      const partitions = cluster
        .findTopicPartitionMetadata(topic)
        .map(({ partitionId }) => partitionId)
        .sort((a, b) => a - b);
      for (const [memberId, share] of ranges(partitions, memberIds.sort())) {
        const own = shares.get(memberId);
        if (own !== undefined) own[topic] = share;
      }
    }
    return [...shares].map(([memberId, assignment]) => ({
      memberId,
      memberAssignment: MemberAssignment.encode({ version: VERSION, assignment, userData: Buffer.alloc(0) }),
    }));
  },
});

/** Partitions in ranges, the first ones longer by one where they cannot be alike. */
export function ranges(partitions: readonly number[], members: readonly string[]): [string, number[]][] {
  const least = Math.floor(partitions.length / members.length);
  const longer = partitions.length % members.length;
  let from = 0;
  return members.map((member, index) => {
    const to = from + least + (index < longer ? 1 : 0);
    const share = partitions.slice(from, to);
    from = to;
    return [member, share];
  });
}
