import { setTimeout as sleep } from 'node:timers/promises';
import { type Random, randomInt, seededRandom } from '../../lib/util/random.js';
import { assertAllHolds, assertNoDuplicates, assertProgress } from './checks.js';
import { SoakClients } from './clients.js';
import { type Box, FaultGroup } from './fault-group.js';
import { FAULTS, type Mishap, victimsOf } from './faults.js';

const WATCH_MS = 500;

export interface Soak {
  readonly group: FaultGroup;
  readonly clients: SoakClients;
  readonly random: Random;
  /** Lets something befall the group, and waits until it has recovered. */
  befall(mishaps: readonly Mishap[]): Promise<void>;
  /** Ends the clients, checks all there is to check, and says what was. */
  finish(): Promise<string>;
  close(): Promise<void>;
}

export async function openSoak(seed: number, say: (line: string) => void): Promise<Soak> {
  const random = seededRandom(seed);
  const group = await FaultGroup.open(say);
  const clients = new SoakClients(group, random);
  let watching = true;
  let breach: Error | undefined;
  const watch = (async () => {
    while (watching && breach === undefined) {
      await sleep(WATCH_MS);
      const { answering } = group;
      const box = answering[randomInt(random, Math.max(1, answering.length))];
      // One that falls silent in the middle of it answers later, or never.
      const looked = box === undefined ? undefined : assertNoDuplicates(box);
      await Promise.race([looked, sleep(5_000)]).catch((error: Error) => {
        breach = error;
      });
    }
  })();
  return {
    group,
    clients,
    random,
    async befall(mishaps) {
      if (breach !== undefined) throw breach;
      const began = performance.now();
      const words: string[] = [];
      const taken = new Set<Box>();
      const running: Promise<void>[] = [];
      for (const { name, victim, durationMs } of mishaps) {
        const boxes = await victimsOf(group, victim, random);
        // What has just befallen one is let pass before the next does.
        if (boxes.length === 0 || boxes.some((box) => taken.has(box))) continue;
        for (const box of boxes) taken.add(box);
        words.push(`${victim}${victim === 'everybody' ? '' : ` ${boxes[0]?.name}`} ${name}`);
        running.push(FAULTS[name].run(group, boxes, durationMs));
      }
      await Promise.all(running);
      const brokenMs = Math.round(performance.now() - began);
      const recoveredMs = await assertProgress(group, clients).catch((error: Error) => {
        throw new Error(`${words.join(', ')}: ${error.message}`);
      });
      say(`${words.join(', ')}: ${brokenMs} ms, then ${recoveredMs} ms until all answered`);
      if (breach !== undefined) throw breach;
    },
    async finish() {
      await group.settled();
      say('all follow one leader');
      await clients.stop();
      say('every answer has come');
      watching = false;
      await watch;
      if (breach !== undefined) throw breach;
      return assertAllHolds(group, clients);
    },
    async close() {
      watching = false;
      await group.close();
    },
  };
}
