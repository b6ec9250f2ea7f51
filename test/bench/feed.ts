// The state feed: what publishing costs the one who writes, how fast thirty followers have it, how fast a cold one catches up.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cores } from '../../lib/storage/index.js';
import { EntryChain, FeedFollower, FeedPublisher, openCores } from '../../lib/storage/index.js';
import { silentLog } from '../../lib/util/log.js';
import { FeedServer, FeedWorld } from '../server/feed-world.js';
import { writeCommand } from '../simulation/consensus/registers.js';
import { connect, MEMBERS, until } from '../storage/feed-fakes.js';
import { peakMiBOf } from './measure.js';
import type { Row } from './run.js';

const LIMIT_MS = 600_000;
const COMMAND = Buffer.alloc(300, 'x');
const FOLLOWERS = 30;
/** Of these each reaches the voter itself; the others take the blocks from those before them. */
const NEAR = 3;
const COLD_ENTRIES = 1_000_000;

/** A state of one number: what is measured is the way there. */
class Counter {
  count = 0;
  apply(): void {
    this.count++;
  }
  stream(): () => AsyncIterable<Uint8Array> {
    const bytes = Buffer.from(String(this.count));
    return async function* () {
      yield bytes;
    };
  }
  async restore(stream: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const bytes of stream) this.count = Number(Buffer.from(bytes).toString());
  }
}

interface End {
  readonly cores: Cores;
  readonly chain: EntryChain;
  readonly state: Counter;
}

async function end(root: string, name: string): Promise<End> {
  const cores = await openCores(join(root, name, 'cores'), { log: silentLog });
  return { cores, chain: new EntryChain(), state: new Counter() };
}

async function publisherOf(voter: End, root: string, segmentBytes?: number): Promise<FeedPublisher> {
  const { cores, chain, state } = voter;
  const publisher = await FeedPublisher.open({
    folder: join(root, 'voter'),
    cores,
    node: 'voter',
    chain,
    capture: () => ({ meta: { ...chain.meta, membership: MEMBERS }, stream: state.stream() }),
    log: silentLog,
    ...(segmentBytes !== undefined && { limits: { segmentBytes } }),
  });
  await until('the feed', () => publisher.address !== null, LIMIT_MS);
  return publisher;
}

function followerOf({ cores, chain, state }: End, root: string, name: string): FeedFollower {
  return new FeedFollower({ folder: join(root, name), cores, chain, target: state, log: silentLog });
}

function write({ chain, state }: End): void {
  state.apply();
  chain.applied({ index: chain.index + 1, term: 1, type: 'command', data: COMMAND });
}

function percentile(values: number[], share: number): number {
  values.sort((a, b) => a - b);
  return values[Math.floor(values.length * share)] ?? 0;
}

const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 0)} ms`;

/** Writes one after the other, as a client sees them, with nobody and with somebody who follows; turn by turn. */
async function cost(root: string): Promise<Row[]> {
  const world = new FeedWorld();
  const [alone, followed] = [new FeedServer(world, 'a', join(root, 'a')), new FeedServer(world, 'b', join(root, 'b'))];
  for (const server of [alone, followed]) {
    await server.start(true);
    await until('a leader', () => server.consensus.isLeader);
  }
  await until('the feed to be open', () => {
    void world.callerOf('b').call('Feed.Describe', { Follow: true });
    return followed.part.stats().published?.segment === 1;
  });
  const took = new Map<FeedServer, number[]>([
    [alone, []],
    [followed, []],
  ]);
  for (let round = 0; round < 10; round++) {
    for (const [server, times] of took) {
      for (let i = 0; i < 200; i++) {
        const began = performance.now();
        await server.consensus.propose(writeCommand('k', COMMAND.toString()));
        times.push(performance.now() - began);
        await new Promise(setImmediate);
      }
    }
  }
  const rows = [...took].map(([server, times]) => {
    const how = server === alone ? 'nobody asks for the feed' : 'the feed is published';
    return { what: `write of 300 B, one client, ${how}`, value: p50p99(times), target: '' };
  });
  await world.closeAll();
  return rows;
}

function p50p99(times: number[]): string {
  return `p50 ${ms(percentile(times, 0.5))}, p99 ${ms(percentile(times, 0.99))}`;
}

/** Thirty followers in this very process, each with a store of its own: they share two cores with the voter. */
async function fanOut(root: string): Promise<Row[]> {
  const voter = await end(root, 'voter');
  const publisher = await publisherOf(voter, root);
  const ends: End[] = [];
  const followers: FeedFollower[] = [];
  for (let i = 0; i < FOLLOWERS; i++) {
    const one = await end(root, `f${i}`);
    if (i < NEAR) connect(one.cores, voter.cores);
    else for (const source of [0, 1]) connect(one.cores, (ends[(i - NEAR + source) % Math.max(1, i - 1)] as End).cores);
    const follower = followerOf(one, root, `f${i}`);
    follower.follow(publisher.address);
    ends.push(one);
    followers.push(follower);
  }
  const all = (): boolean => ends.every(({ chain }) => chain.index === voter.chain.index);
  write(voter);
  await until('all to follow', all, LIMIT_MS);
  const latencies: number[] = [];
  for (let i = 0; i < 60; i++) {
    const began = performance.now();
    write(voter);
    await until('all to have it', all, LIMIT_MS);
    latencies.push(performance.now() - began);
  }
  const bulkBegan = performance.now();
  for (let i = 0; i < 5000; i++) write(voter);
  await until('all to have all', all, LIMIT_MS);
  const bulkMs = performance.now() - bulkBegan;
  for (const follower of followers) await follower.close();
  for (const { cores } of ends) await cores.close();
  await publisher.close();
  await voter.cores.close();
  return [
    {
      what: `one entry to all of ${FOLLOWERS} followers, ${NEAR} of them direct`,
      value: p50p99(latencies),
      target: '',
    },
    { what: `5,000 entries of 300 B to all of ${FOLLOWERS}`, value: ms(bulkMs), target: '' },
  ];
}

/** From nothing to the newest entry: by the newest snapshot as it is, and by every single entry when there is no snapshot. */
async function catchUp(root: string, segmentBytes: number | undefined): Promise<Row> {
  const voter = await end(root, 'voter');
  const publisher = await publisherOf(voter, root, segmentBytes);
  const began = performance.now();
  while (voter.chain.index < COLD_ENTRIES) {
    for (let i = 0; i < 2000; i++) write(voter);
    await until('the publisher', () => publisher.stats().waitingBytes < 2 * 1024 * 1024, LIMIT_MS);
  }
  await until('the publisher', () => publisher.stats().publishedIndex === voter.chain.index, LIMIT_MS);
  const publishedMs = performance.now() - began;
  const cold = await end(root, 'cold');
  connect(cold.cores, voter.cores);
  const follower = followerOf(cold, root, 'cold');
  const coldBegan = performance.now();
  const cpu = process.cpuUsage();
  follower.follow(publisher.address);
  await until('the cold one', () => cold.chain.index === voter.chain.index, LIMIT_MS);
  const tookMs = performance.now() - coldBegan;
  const { user, system } = process.cpuUsage(cpu);
  const mib = (COLD_ENTRIES * COMMAND.length) / 2 ** 20;
  const value = `${ms(tookMs)}, CPU of both ends ${ms((user + system) / 1000)}; ${mib.toFixed(0)} MiB, published in ${ms(publishedMs)}; peak RSS ${peakMiBOf(process.pid).toFixed(0)} MiB`;
  await follower.close();
  await cold.cores.close();
  await publisher.close();
  await voter.cores.close();
  const how = segmentBytes === undefined ? 'newest snapshot and what follows' : 'every entry';
  return { what: `cold follower, 1,000,000 entries of 300 B: ${how}`, value, target: '' };
}

export async function benchFeed(): Promise<Row[]> {
  const root = mkdtempSync(join(tmpdir(), 'meshnomad-bench-feed-'));
  try {
    return [
      ...(await cost(join(root, 'cost'))),
      ...(await fanOut(join(root, 'fan'))),
      await catchUp(join(root, 'snapshot'), undefined),
      await catchUp(join(root, 'entries'), 2 ** 40),
    ];
  } finally {
    rmSync(root, { recursive: true });
  }
}
