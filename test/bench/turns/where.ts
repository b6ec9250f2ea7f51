import type { Profiler } from 'node:inspector';
import { Session } from 'node:inspector/promises';
import type { LongTurn } from '../../simulation/cluster/turn-watch.js';

const EVERY_US = 500;
const TURNS_MAX = 4;
const FUNCTIONS_MAX = 12;
/** Everything is in these. */
const EVERYWHERE = /^\((root|program|idle)\)|^(processImmediate|processTicksAndRejections|runMicrotasks) /;

/** Samples the thread until `end`, which says for each of the longest turns in which functions it was, the widest first. */
export async function watchWhere(): Promise<{ end(turns: readonly LongTurn[]): Promise<string[]> }> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: EVERY_US });
  // The profile counts microseconds of the machine's clock.
  const offsetUs = Number(process.hrtime.bigint() / 1000n) - performance.now() * 1000;
  await session.post('Profiler.start');
  return {
    async end(turns) {
      const { profile } = await session.post('Profiler.stop');
      session.disconnect();
      const longest = [...turns].sort((a, b) => b.ranMs - a.ranMs).slice(0, TURNS_MAX);
      return longest.map((turn) => `${turn.ranMs.toFixed(1)} ms: ${told(countsIn(turn, profile, offsetUs))}`);
    },
  };
}

const sampledMs = (count: number): number => (count * EVERY_US) / 1000;

/** In how many samples of a turn each function was. */
function countsIn(turn: LongTurn, profile: Profiler.Profile, offsetUs: number): Map<string, number> {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map<number, number>();
  for (const { id, children } of profile.nodes) for (const child of children ?? []) parents.set(child, id);
  const counts = new Map<string, number>();
  let us = profile.startTime;
  for (const [at, sample] of (profile.samples ?? []).entries()) {
    us += profile.timeDeltas?.[at] ?? 0;
    const ms = (us - offsetUs) / 1000;
    if (ms < turn.from || ms > turn.to) continue;
    const names = new Set<string>();
    for (let id: number | undefined = sample; id !== undefined; id = parents.get(id)) {
      const { functionName, url, lineNumber } = nodes.get(id)?.callFrame ?? {
        functionName: '',
        url: '',
        lineNumber: 0,
      };
      names.add(`${functionName} ${url.split('/').at(-1)}:${lineNumber + 1}`);
    }
    for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

function told(counts: ReadonlyMap<string, number>): string {
  const most = [...counts].filter(([name]) => !EVERYWHERE.test(name)).sort(([, a], [, b]) => b - a);
  return most
    .slice(0, FUNCTIONS_MAX)
    .map(([name, count]) => `${name} ${sampledMs(count).toFixed(1)}`)
    .join(', ');
}
