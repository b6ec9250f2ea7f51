import { setTimeout as sleep } from 'node:timers/promises';
import { type Random, randomInt } from '../../lib/util/random.js';
import type { Box, FaultGroup } from './fault-group.js';

/** Whom it befalls. */
export type Victim = 'leader' | 'follower' | 'client' | 'everybody';

/** Something that goes wrong for a while, and is well again when it resolves. */
export interface Fault {
  /** At random it befalls these. */
  readonly victims: readonly Victim[];
  run(group: FaultGroup, victims: readonly Box[], durationMs: number): Promise<void>;
}

/** Something that goes wrong with somebody for so long. */
export interface Mishap {
  readonly name: FaultName;
  readonly victim: Victim;
  readonly durationMs: number;
}

const HOUR_MS = 3_600_000;
const ONE: readonly Victim[] = ['leader', 'follower', 'client'];
const ANY: readonly Victim[] = [...ONE, 'everybody'];

const isolated = (ways: readonly ('in' | 'out')[]): Fault => ({
  victims: ONE,
  async run(group, victims, durationMs) {
    for (const victim of victims) group.isolate(victim, ways);
    await sleep(durationMs);
    for (const victim of victims) group.join(victim);
  },
});

const clockJump = (hours: number): Fault => ({
  victims: ONE,
  async run(_group, victims, durationMs) {
    for (const { clock } of victims) clock.set(clock.offsetMs + hours * HOUR_MS);
    await sleep(durationMs);
  },
});

const startAll = async (group: FaultGroup, victims: readonly Box[]): Promise<void> => {
  await Promise.all(victims.map((box) => group.startAgain(box)));
};

/** Processes end here, in one moment. */
const killAll = async (group: FaultGroup, victims: readonly Box[]): Promise<void> => {
  await Promise.all(victims.map((box) => group.kill(box)));
};

const TABLE = {
  'is killed': {
    victims: ANY,
    async run(group, victims, durationMs) {
      await killAll(group, victims);
      await sleep(durationMs / 2);
      await startAll(group, victims);
    },
  },
  sleeps: {
    victims: ONE,
    async run(group, victims, durationMs) {
      for (const victim of victims) group.stop(victim);
      await sleep(durationMs);
      for (const victim of victims) group.goOn(victim);
    },
  },
  'is cut off': isolated(['in', 'out']),
  'hears nobody': isolated(['in']),
  'is heard by nobody': isolated(['out']),
  'has a full disk': {
    victims: ['leader', 'follower'],
    async run(group, victims, durationMs) {
      for (const { disk } of victims) disk.fill();
      await sleep(durationMs);
      for (const { disk } of victims) disk.free();
      await startAll(group, victims);
    },
  },
  'has its clock an hour later': clockJump(1),
  'has its clock an hour earlier': clockJump(-1),
  'has its power cut': {
    victims: ANY,
    async run(group, victims, durationMs) {
      await killAll(group, victims);
      for (const victim of victims) await group.cutPower(victim);
      await sleep(durationMs / 4);
      await startAll(group, victims);
    },
  },
  'is started again with another address': {
    victims: ['everybody'],
    async run(group, victims) {
      await killAll(group, victims);
      for (const victim of victims) await group.move(victim);
      await startAll(group, victims);
    },
  },
} satisfies Record<string, Fault>;

export type FaultName = keyof typeof TABLE;
export const FAULTS: Readonly<Record<FaultName, Fault>> = TABLE;

/** A mishap at random. */
export function chooseMishap(random: Random, durationMaxMs: number): Mishap {
  const names = Object.keys(FAULTS) as FaultName[];
  const name = names[randomInt(random, names.length)] as FaultName;
  const { victims } = FAULTS[name];
  const victim = victims[randomInt(random, victims.length)] as Victim;
  return { name, victim, durationMs: 500 + randomInt(random, durationMaxMs) };
}

/** Who it is now; nobody while nobody leads. */
export async function victimsOf(group: FaultGroup, victim: Victim, random: Random): Promise<Box[]> {
  if (victim === 'everybody') return group.boxes;
  if (victim === 'client') return group.boxes.slice(-1);
  const leader = await group.leader();
  if (leader === undefined) return [];
  if (victim === 'leader') return [leader];
  const followers = group.servers.filter((box) => box !== leader);
  return followers.splice(randomInt(random, followers.length), 1);
}
