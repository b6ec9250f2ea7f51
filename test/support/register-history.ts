import type { Model, Operation, Verdict } from './linearizable.js';
import { checkLinearizable } from './linearizable.js';

/** A register: what was written last is read. `swap` writes only over `from`, and answers whether it did. */
export type RegisterInput =
  | { readonly key: string; readonly type: 'read' }
  | { readonly key: string; readonly type: 'write'; readonly value: string }
  | { readonly key: string; readonly type: 'swap'; readonly from: string; readonly to: string };

export type RegisterOperation = Operation<RegisterInput, string>;

/** A read answers the value ('' before the first write), a write '', a swap 'yes' or 'no'. */
const REGISTER: Model<string, RegisterInput, string> = {
  initial: '',
  key: (state) => state,
  step(state, input, output) {
    switch (input.type) {
      case 'read':
        return output === undefined || output === state ? state : null;
      case 'write':
        return input.value;
      case 'swap': {
        const swaps = state === input.from;
        if (output !== undefined && (output === 'yes') !== swaps) return null;
        return swaps ? input.to : state;
      }
    }
  },
};

/** Checks the registers of a history, each by itself; returns the first that is violated, or cannot be decided. */
export function checkRegisters(history: readonly RegisterOperation[]): Verdict<RegisterInput, string> {
  const byKey = new Map<string, RegisterOperation[]>();
  for (const operation of history) {
    const list = byKey.get(operation.input.key) ?? [];
    byKey.set(operation.input.key, list);
    list.push(operation);
  }
  const verdicts = [...byKey.values()].map(
    (operations) => checkZones(operations) ?? searchSettled(operations) ?? checkLinearizable(REGISTER, operations),
  );
  return (
    verdicts.find(({ kind }) => kind === 'violated') ??
    verdicts.find(({ kind }) => kind === 'undecided') ?? { kind: 'linearizable' }
  );
}

/**
 * Where each value is written once, an operation of unknown outcome whose value somebody saw did happen, before the first who saw it was
 * answered. One whose value nobody saw may never have happened: if there is an order without all of these, there is one. Null when
 * that says nothing.
 */
function searchSettled(history: readonly RegisterOperation[]): Verdict<RegisterInput, string> | null {
  const seenBy = new Map<string, number>();
  const written = new Set(['']);
  for (const { input, outcome } of history) {
    if (input.type !== 'read') {
      const value = input.type === 'swap' ? input.to : input.value;
      if (written.has(value)) return null;
      written.add(value);
    }
    if (outcome.kind !== 'done') continue;
    const seen =
      input.type === 'read' ? outcome.output : input.type === 'swap' && outcome.output === 'yes' ? input.from : '';
    seenBy.set(seen, Math.min(seenBy.get(seen) ?? Number.POSITIVE_INFINITY, outcome.endedAt));
  }
  const certain: RegisterOperation[] = [];
  for (const operation of history) {
    const { input, outcome } = operation;
    if (outcome.kind !== 'unknown') certain.push(operation);
    else if (input.type !== 'read') {
      const endedAt = seenBy.get(input.type === 'swap' ? input.to : input.value);
      if (endedAt === undefined) continue;
      const output = input.type === 'swap' ? 'yes' : '';
      certain.push({ ...operation, outcome: { kind: 'done', endedAt, output } });
    }
  }
  const verdict = checkLinearizable(REGISTER, certain);
  return verdict.kind === 'linearizable' ? verdict : null;
}

/** A write with the reads that saw it: of all their ends the first, of all their begins the last. */
interface Cluster {
  readonly write: RegisterOperation | null;
  readonly reads: RegisterOperation[];
  firstEnd: number;
  lastBegin: number;
}

/**
 * Where each value is written once and nothing is swapped, no search is needed (Gibbons and Korach, 1997). If the first end
 * of a cluster lies before its last begin, its value must have stood from the one to the other without a break. So no two
 * such spans may overlap, and no other value may have to come and go within one. Null when the rule does not apply.
 */
function checkZones(history: readonly RegisterOperation[]): Verdict<RegisterInput, string> | null {
  const clusters = new Map<string, Cluster>();
  clusters.set('', { write: null, reads: [], firstEnd: Number.NEGATIVE_INFINITY, lastBegin: Number.NEGATIVE_INFINITY });
  for (const operation of history) {
    const { input, outcome, beganAt } = operation;
    if (input.type === 'swap' || (input.type === 'write' && clusters.has(input.value))) return null;
    if (input.type === 'read' || outcome.kind === 'failed') continue;
    const firstEnd = outcome.kind === 'done' ? outcome.endedAt : Number.POSITIVE_INFINITY;
    clusters.set(input.value, { write: operation, reads: [], firstEnd, lastBegin: beganAt });
  }
  for (const operation of history) {
    const { input, outcome, beganAt } = operation;
    if (input.type !== 'read' || outcome.kind !== 'done') continue;
    const cluster = clusters.get(outcome.output);
    // Nobody wrote it, or it was read before that began.
    if (cluster === undefined) return { kind: 'violated', culprits: [operation] };
    if (cluster.write !== null && outcome.endedAt < cluster.write.beganAt) {
      return { kind: 'violated', culprits: [operation, cluster.write] };
    }
    cluster.reads.push(operation);
    cluster.firstEnd = Math.min(cluster.firstEnd, outcome.endedAt);
    cluster.lastBegin = Math.max(cluster.lastBegin, beganAt);
  }
  return compareZones([...clusters.values()]);
}

function compareZones(clusters: readonly Cluster[]): Verdict<RegisterInput, string> {
  const stood = clusters.filter(({ firstEnd, lastBegin }) => firstEnd < lastBegin);
  stood.sort((a, b) => a.firstEnd - b.firstEnd);
  for (const [i, span] of stood.entries()) {
    const next = stood[i + 1];
    if (next !== undefined && next.firstEnd < span.lastBegin) return contradiction(span, next);
  }
  for (const cluster of clusters) {
    if (cluster.firstEnd < cluster.lastBegin) continue;
    // The last span that begins before it is the only one that can enclose it.
    const around = lastBefore(stood, cluster.lastBegin);
    if (around !== undefined && cluster.firstEnd < around.lastBegin) return contradiction(around, cluster);
  }
  return { kind: 'linearizable' };
}

function lastBefore(spans: readonly Cluster[], at: number): Cluster | undefined {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((spans[middle] as Cluster).firstEnd < at) low = middle + 1;
    else high = middle;
  }
  return spans[low - 1];
}

function contradiction(a: Cluster, b: Cluster): Verdict<RegisterInput, string> {
  const culprits = [a, b].flatMap(({ write, reads }) => [...(write === null ? [] : [write]), ...reads.slice(0, 3)]);
  return { kind: 'violated', culprits };
}
