import { hiccup } from './scenarios.js';
import { GossipWorld, infoOf, type SimNode } from './world.js';

/** What one mesh of a size does; times in milliseconds of the simulation. */
export interface Figures {
  members: number;
  /** Until all know what one said of itself. */
  updateMs: number;
  /** Until all know a newcomer. */
  joinMs: number;
  /** Until the first, and until all find a killed member dead. */
  firstDeathMs: number;
  deathMs: number;
  /** Sent by each member in a second in which nothing happens. */
  idleBytesPerSecond: number;
  idlePacketsPerSecond: number;
}

const LIMIT_MS = 60_000;
const SETTLE_MS = 40_000;

/** Measures one mesh of `members` in fair weather. */
export function measure(members: number, seed: number): Figures {
  const world = new GossipWorld({ seed });
  const nodes = world.add(members);
  world.startTogether(nodes);
  // Until comparisons, which begin one a second, have become as seldom as they get.
  world.run(SETTLE_MS);
  const before = sent(nodes);
  const quietMs = members > 2_000 ? 10_000 : 20_000;
  world.run(quietMs);
  const after = sent(nodes);

  const speaker = nodes[0] as SimNode;
  world.step(speaker, { type: 'update', info: infoOf(0, { word: 'new' }) });
  const updateMs = took(world, () =>
    nodes.every(({ gossip }) => gossip.member(speaker.key)?.info.meta['word'] === 'new'),
  );
  const newcomer = world.add(1)[0] as SimNode;
  world.start(newcomer, { seeds: nodes.slice(0, 3) });
  const joinMs = took(world, () => world.allSee([newcomer], 'alive'));
  world.run(2_000);
  const killedAt = world.now;
  world.kill(newcomer);
  const deathMs = took(world, () => world.allSee([newcomer], 'dead'));
  const first = world.sightings.find(
    ({ at, state, subject }) => at >= killedAt && state === 'dead' && subject === newcomer,
  );
  return {
    members,
    updateMs,
    joinMs,
    firstDeathMs: (first?.at ?? Number.NaN) - killedAt,
    deathMs,
    idleBytesPerSecond: ((after.bytes - before.bytes) / members / quietMs) * 1_000,
    idlePacketsPerSecond: ((after.packets - before.packets) / members / quietMs) * 1_000,
  };
}

function took(world: GossipWorld, holds: () => boolean): number {
  return world.runUntil(holds, LIMIT_MS, 20) ?? Number.NaN;
}

function sent(nodes: readonly SimNode[]): { bytes: number; packets: number } {
  return {
    bytes: nodes.reduce((sum, { sentBytes }) => sum + sentBytes, 0),
    packets: nodes.reduce((sum, { sentPackets }) => sum + sentPackets, 0),
  };
}

/** What a mesh believes wrongly while a fifth of it runs only now and then. */
export interface StallFigures {
  members: number;
  stallMaxMs: number;
  minutes: number;
  /** Members that run well and were found dead by somebody. */
  healthyDeaths: number;
  /** Times that a slow member was found dead, whoever and however many found it so, per slow member and hour. */
  slowDeathsPerHour: number;
}

export function measureStalls(options: {
  members: number;
  stallMaxMs: number;
  minutes: number;
  seed: number;
}): StallFigures {
  const { members, stallMaxMs, minutes, seed } = options;
  const world = new GossipWorld({ seed });
  const nodes = world.add(members);
  world.startTogether(nodes);
  world.run(2_000);
  const slow = new Set(nodes.slice(0, Math.floor(members / 5)));
  for (const node of slow) hiccup(world, node, { stallMaxMs, runMs: 200, untilMs: world.now + minutes * 60_000 });
  world.run(minutes * 60_000);
  const healthy = new Set<SimNode>();
  let stories = 0;
  const lastDeath = new Map<SimNode, number>();
  for (const { at, subject } of world.falseDeaths()) {
    if (!slow.has(subject)) healthy.add(subject);
    // All who believe it within some seconds have it from each other.
    else if (at - (lastDeath.get(subject) ?? Number.NEGATIVE_INFINITY) > 5_000) stories++;
    lastDeath.set(subject, at);
  }
  return {
    members,
    stallMaxMs,
    minutes,
    healthyDeaths: healthy.size,
    slowDeathsPerHour: stories / slow.size / (minutes / 60),
  };
}
