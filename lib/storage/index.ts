/**
 * What lies on disk. Comes from server/consensus.ts (log, term and vote, snapshots); goes to files in the data
 * directory, or to memory for an agent that keeps no state. It decides nothing: the ports are the cores'.
 *
 * The feed (feed-*.ts, cores.ts) is the same history for others: what is applied goes into hypercores, from which servers
 * outside of the group keep the state, whoever they get the blocks from. Nothing that was acknowledged depends on it.
 */

export { Ballast } from './ballast.js';
export type { Core, Cores } from './cores.js';
export { openCores } from './cores.js';
export type { Disk, DiskFile } from './disk.js';
export { nodeDisk, storageError } from './disk.js';
export { EntryChain } from './entry-chain.js';
export type { FeedTarget, FollowerState } from './feed-follower.js';
export { FeedFollower } from './feed-follower.js';
export type { FeedStats } from './feed-publisher.js';
export { dropFeed, FeedPublisher } from './feed-publisher.js';
export { feedIn } from './feed-record.js';
export type { CapturedState } from './feed-segment.js';
export type { Instance, InstanceStore } from './instance.js';
export { FIRST_EPOCH, memoryInstance, openInstance } from './instance.js';
export type { Lock } from './lock.js';
export { acquireLock } from './lock.js';
export { openRaftLog } from './raft-log.js';
export { memoryRaftLog } from './raft-log-memory.js';
export { memorySnapshots, openSnapshots } from './snapshots.js';
export { memoryStable, openStable } from './stable.js';
