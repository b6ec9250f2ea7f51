import type { Random } from '../../../lib/util/random.js';
import { randomInt } from '../../../lib/util/random.js';
import type { SimNode, Weather } from './world.js';
import { FAIR, GossipWorld, infoOf } from './world.js';

// One story each: a seed in, what went wrong out. The seed chooses size, weather and moments.

const STORM: Weather = { latencyMinMs: 1, latencyMaxMs: 150, loss: 0.1, duplication: 0.05 };
const WET: Weather = { latencyMinMs: 1, latencyMaxMs: 40, loss: 0.02, duplication: 0.02 };

export type Scenario = (seed: number) => string[];

function pick<T>(random: Random, items: readonly T[]): T {
  return items[randomInt(random, items.length)] as T;
}

function world(seed: number, sizes: readonly number[], weather?: Weather): { world: GossipWorld; nodes: SimNode[] } {
  const made = new GossipWorld({ seed });
  made.weather = weather ?? pick(made.random, [FAIR, WET]);
  const nodes = made.add(pick(made.random, sizes));
  made.startTogether(nodes);
  made.run(2_000);
  return { world: made, nodes };
}

/** Where the views of all who run differ from the truth: who runs is alive. */
function unsettled(made: GossipWorld, limitMs: number): string[] {
  const took = made.runUntil(() => made.allSee(made.running(), 'alive'), limitMs, 100);
  if (took !== undefined) return [];
  const wrong = made.running().flatMap((observer) =>
    made
      .running()
      .filter((subject) => subject !== observer && observer.gossip.member(subject.key)?.state !== 'alive')
      .map((subject) => `${observer.index}: ${subject.index} ${observer.gossip.member(subject.key)?.state}`),
  );
  return [`not settled after ${limitMs} ms: ${wrong.length} wrong, as ${wrong.slice(0, 5).join('; ')}`];
}

function deathsOf(made: GossipWorld, since = 0): string[] {
  return made
    .falseDeaths(since)
    .slice(0, 3)
    .map(({ at, observer, subject }) => `${subject.index} runs, but ${observer.index} finds it dead at ${at}`);
}

/** A killed member is found dead by all, and nobody else is. */
const kill: Scenario = (seed) => {
  const { world: made, nodes } = world(seed, [2, 3, 4, 5, 7, 10, 30, 60]);
  const victim = pick(made.random, nodes);
  made.kill(victim);
  // Two cannot confirm each other: the survivor waits long.
  const limitMs = nodes.length === 2 ? 14_000 : 9_000;
  const took = made.runUntil(() => made.allSee([victim], 'dead'), limitMs);
  const late = took === undefined ? [`n=${nodes.length}: not all found it dead within ${limitMs} ms`] : [];
  if (nodes.length === 2 && took !== undefined && took < 9_000) late.push(`a lone witness decided after ${took} ms`);
  return [...late, ...deathsOf(made)];
};

/** Loss, doubles and disorder kill nobody. */
const storm: Scenario = (seed) => {
  const { world: made } = world(seed, [2, 3, 5, 12, 30], STORM);
  made.run(60_000);
  return [...deathsOf(made), ...unsettled(made, 10_000)];
};

/** A pair that cannot reach each other, one way or both, is no reason to bury either while others reach both. */
const oneWay: Scenario = (seed) => {
  const { world: made, nodes } = world(seed, [3, 4, 8, 30]);
  const [a, b] = [pick(made.random, nodes.slice(0, 1)), pick(made.random, nodes.slice(1))];
  const both = made.random.next() < 0.5;
  made.cut = (from, to) => (from === a && to === b) || (both && from === b && to === a);
  made.run(60_000);
  return deathsOf(made);
};

/** A fifth of the members runs only now and then; the others are never found dead, and these seldom. */
const stalled: Scenario = (seed) => {
  const { world: made, nodes } = world(seed, [10, 30, 50]);
  const slow = nodes.slice(0, Math.floor(nodes.length / 5));
  for (const node of slow) hiccup(made, node, { stallMaxMs: 1_500, runMs: 150, untilMs: made.now + 60_000 });
  made.run(60_000);
  const wrong = made.falseDeaths().filter(({ subject }) => !slow.includes(subject));
  const problems = wrong
    .slice(0, 3)
    .map(({ observer, subject }) => `${observer.index} buries healthy ${subject.index}`);
  // Deaths of one slow member as all see it: each story counts once.
  const stories = new Set(made.falseDeaths().map(({ subject }) => subject.index)).size;
  if (stories > slow.length / 2) problems.push(`${stories} of ${slow.length} slow members were found dead`);
  return [...problems, ...unsettled(made, 20_000)];
};

/** Stops a process again and again, as one does that is starved of processor time. */
export function hiccup(
  made: GossipWorld,
  node: SimNode,
  options: { stallMaxMs: number; runMs: number; untilMs: number },
): void {
  if (made.now >= options.untilMs || !node.running) return;
  const ms = made.random.next() * options.stallMaxMs;
  made.stall(node, ms);
  made.at(made.now + ms + options.runMs, () => hiccup(made, node, options));
}

/** Members come and go; when that ends, all who run are alive to all, and all others are not. */
const churn: Scenario = (seed) => {
  const { world: made, nodes } = world(seed, [4, 8, 20, 40]);
  const seeds = nodes.slice(0, 2);
  for (let step = 0; step < 30; step++) {
    made.run(1_000 + made.random.next() * 2_000);
    const node = pick(made.random, nodes.slice(2));
    if (node.running) made.kill(node);
    else made.start(node, { seeds });
    if (made.random.next() < 0.2) made.start(pick(made.random, made.add(1)), { seeds });
  }
  const gone = made.nodes.filter((node) => !node.running);
  const problems = unsettled(made, 20_000);
  const buried = made.runUntil(() => made.running().every((o) => gone.every((s) => !isThere(o, s))), 60_000, 100);
  if (buried === undefined) problems.push('some who are gone are still believed to be there');
  return problems;
};

function isThere(observer: SimNode, subject: SimNode): boolean {
  const state = observer.gossip.member(subject.key)?.state;
  return state === 'alive' || state === 'suspect';
}

/** The power fails everywhere: all come back, with their counts or having lost them, and settle; nobody stays dead. */
const massRestart: Scenario = (seed) => {
  const { world: made, nodes } = world(seed, [2, 3, 5, 30, 60]);
  const survivor = made.random.next() < 0.5 ? nodes[0] : undefined;
  const forgot = made.random.next() < 0.3;
  const down = nodes.filter((node) => node !== survivor);
  for (const node of down) made.kill(node);
  made.run(made.random.next() * 20_000);
  for (const node of down) {
    made.at(made.now + made.random.next() * 3_000, () => made.start(node, { seeds: nodes, forgot }));
  }
  made.run(3_001);
  return unsettled(made, 20_000);
};

/** Halves that lost each other for long find together again, without anybody's help. */
const split: Scenario = (seed) => {
  const { world: made, nodes } = world(seed, [2, 3, 5, 8, 30]);
  const at = 1 + randomInt(made.random, nodes.length - 1);
  made.cut = (from, to) => from.index < at !== to.index < at;
  made.run(20_000 + made.random.next() * 60_000);
  made.cut = () => false;
  return unsettled(made, 45_000);
};

/** One whose own link is down accuses nobody, says so, and is at home again at once when it is back. */
const cutOff: Scenario = (seed) => {
  const { world: made, nodes } = world(seed, [3, 4, 5, 8, 30, 60]);
  const lost = pick(made.random, nodes);
  const since = made.now;
  made.cut = (from, to) => from === lost || to === lost;
  made.run(8_000 + made.random.next() * 60_000);
  const problems = made
    .falseDeaths(since)
    .filter(({ observer }) => observer === lost)
    .map(({ subject }) => `the one cut off buries ${subject.index}`);
  if (!lost.isolated) problems.push('the one cut off does not know it');
  made.cut = () => false;
  problems.push(...unsettled(made, 15_000));
  if (lost.isolated) problems.push('it still thinks itself cut off');
  return problems;
};

/** Many join at once through the same two. */
const massJoin: Scenario = (seed) => {
  const { world: made, nodes } = world(seed, [2, 3, 5]);
  const joiners = made.add(100);
  for (const node of joiners) made.start(node, { seeds: nodes.slice(0, 2) });
  return [...unsettled(made, 5_000), ...deathsOf(made)];
};

/** What a member says of itself, and a tombstone, reach everybody; the buried one is out, for latecomers too. */
const news: Scenario = (seed) => {
  const { world: made, nodes } = world(seed, [3, 5, 30], pick(new GossipWorld({ seed }).random, [FAIR, WET, STORM]));
  const [first, second] = [nodes[0] as SimNode, nodes[1] as SimNode];
  made.step(first, { type: 'update', info: infoOf(first.index, { word: 'new' }) });
  made.step(first, { type: 'bury', key: second.key, bytes: new Uint8Array(1 + randomInt(made.random, 4_000)).fill(7) });
  const others = nodes.filter((node) => node !== second);
  const problems: string[] = [];
  const heard = (): boolean =>
    others.every(({ gossip }) => gossip.member(first.key)?.info.meta['word'] === 'new' && !gossip.member(second.key));
  if (made.runUntil(heard, 25_000) === undefined) problems.push('not all heard the news');
  const late = made.add(1)[0] as SimNode;
  made.start(late, { seeds: [first] });
  const told = (): boolean => late.tombstones.includes(second.key) && made.allSee([late], 'alive', others);
  if (made.runUntil(told, 25_000) === undefined) problems.push('the latecomer does not know who is out');
  made.run(10_000);
  if (made.running().some(({ gossip, key }) => key !== second.key && gossip.member(second.key)))
    problems.push('the buried one is back');
  return problems;
};

/** Good-byes are heard as such, and who comes back is alive. */
const leave: Scenario = (seed) => {
  const { world: made, nodes } = world(seed, [2, 3, 10, 30]);
  const leaver = pick(made.random, nodes);
  made.step(leaver, { type: 'leave' });
  made.runUntil(() => !leaver.gossip.hasNews, 3_000);
  made.kill(leaver);
  const problems: string[] = [];
  if (made.runUntil(() => made.allSee([leaver], 'left'), 25_000) === undefined) problems.push('not all heard good-bye');
  made.start(leaver, { seeds: nodes });
  return [...problems, ...unsettled(made, 15_000)];
};

/** A thousand members hear of things as a few do, and lose nobody meanwhile. */
const thousand: Scenario = (seed) => {
  const made = new GossipWorld({ seed });
  made.weather = WET;
  const nodes = made.add(1_000);
  made.startTogether(nodes);
  const speaker = pick(made.random, nodes);
  made.step(speaker, { type: 'update', info: infoOf(speaker.index, { word: 'new' }) });
  const heard = (): boolean => nodes.every(({ gossip }) => gossip.member(speaker.key)?.info.meta['word'] === 'new');
  const problems: string[] = [];
  if (made.runUntil(heard, 1_000) === undefined) problems.push('not all heard the news within a second');
  const victim = pick(made.random, nodes);
  made.kill(victim);
  if (made.runUntil(() => made.allSee([victim], 'dead'), 15_000, 100) === undefined)
    problems.push('not all found the dead one within 15 s');
  return [...problems, ...deathsOf(made)];
};

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  kill,
  storm,
  'one-way': oneWay,
  stalled,
  churn,
  'mass-restart': massRestart,
  split,
  'cut-off': cutOff,
  'mass-join': massJoin,
  news,
  leave,
  thousand,
};
