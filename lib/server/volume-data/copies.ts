import type { Node } from '../../structs/node.js';
import type { ArchiveCore, ArchiveHolder, VolumeArchive } from '../../structs/volume-data.js';
import type { Millis } from '../../util/clock.js';

/** A node that is away for longer than that may not come back: another one gets a copy. */
export const AWAY_MS: Millis = 15 * 60_000;

/** What is to be done next about the copies of an archive. */
export type CopyAction =
  /** Nodes are chosen, or chosen no more. */
  | { readonly kind: 'choose'; readonly core: string; readonly holders: readonly ArchiveHolder[] }
  /** The writer lets go what no snapshot needs. */
  | { readonly kind: 'prune'; readonly core: ArchiveCore }
  /** A node is to have what the core has. */
  | { readonly kind: 'hold'; readonly core: ArchiveCore; readonly nodeId: string }
  /** A node is to have nothing of the core any more. */
  | { readonly kind: 'drop'; readonly core: ArchiveCore; readonly nodeId: string }
  /** Nobody has anything of it any more. */
  | { readonly kind: 'forget'; readonly core: string };

export interface CopyFacts {
  readonly node: (id: string) => Node | undefined;
  readonly nodes: () => Iterable<Node>;
  readonly now: Millis;
  /** Whether the node has refused this core lately. */
  readonly refused: (core: string, nodeId: string) => boolean;
}

/** The first thing to do about the copies of an archive; null: all is as it should be, or nothing can be done now. */
export function nextCopyAction(archive: VolumeArchive, facts: CopyFacts): CopyAction | null {
  for (const core of archive.Cores) {
    const isNeeded = archive.Snapshots.some(({ Core }) => Core === core.Key);
    const action = isNeeded ? actionFor(archive, core, facts) : endOf(core, facts);
    if (action) return action;
  }
  return null;
}

function actionFor({ Plan }: VolumeArchive, core: ArchiveCore, facts: CopyFacts): CopyAction | null {
  const there = core.Holders.filter(({ NodeID }) => isThere(facts, NodeID) && !facts.refused(core.Key, NodeID));
  // Whoever has most of it stays.
  const wanted = there.toSorted((a, b) => b.Length - a.Length || compare(a.NodeID, b.NodeID)).slice(0, Plan.Replicas);
  const more = candidates(core, facts).slice(0, Plan.Replicas - wanted.length);
  const away = core.Holders.filter((holder) => !there.includes(holder) && facts.node(holder.NodeID));
  const surplus = there.filter((holder) => !wanted.includes(holder));
  const chosen = [...wanted, ...more.map(({ ID }) => ({ NodeID: ID, Length: 0, ModifyTime: 0 }))];
  const kept = [...chosen, ...surplus, ...away];
  if (!sameHolders(kept, core.Holders)) return { kind: 'choose', core: core.Key, holders: kept };
  if (core.HasGarbage && isReady(facts, core.NodeID) && !facts.refused(core.Key, core.NodeID))
    return { kind: 'prune', core };
  const behind = wanted.find(({ NodeID, Length }) => Length < core.Length && isReady(facts, NodeID));
  if (behind && hasSource(core, behind.NodeID, facts)) return { kind: 'hold', core, nodeId: behind.NodeID };
  // Nobody gives a copy up before the others are whole.
  const isWhole = wanted.length === Plan.Replicas && wanted.every(({ Length }) => Length >= core.Length);
  const tooMuch = [...surplus, ...away].find(
    ({ NodeID }) => isReady(facts, NodeID) && !facts.refused(core.Key, NodeID),
  );
  return isWhole && tooMuch ? { kind: 'drop', core, nodeId: tooMuch.NodeID } : null;
}

/** No snapshot needs it: everybody who can be asked drops it. */
function endOf(core: ArchiveCore, facts: CopyFacts): CopyAction | null {
  const left = [core.NodeID, ...core.Holders.map(({ NodeID }) => NodeID)].filter((id) => id !== '' && facts.node(id));
  if (left.length === 0) return { kind: 'forget', core: core.Key };
  const next = left.find((id) => isReady(facts, id) && !facts.refused(core.Key, id));
  return next === undefined ? null : { kind: 'drop', core, nodeId: next };
}

/** Nodes that could hold a copy, the best first: elsewhere, and with room. */
function candidates(core: ArchiveCore, facts: CopyFacts): Node[] {
  const writer = facts.node(core.NodeID);
  const others = [...facts.nodes()].filter(
    ({ ID, Status, Drain }) =>
      Status === 'ready' &&
      !Drain &&
      ID !== core.NodeID &&
      !core.Holders.some(({ NodeID }) => NodeID === ID) &&
      !facts.refused(core.Key, ID),
  );
  const isNear = ({ Datacenter }: Node): number => (Datacenter === writer?.Datacenter ? 1 : 0);
  return others.toSorted((a, b) => isNear(a) - isNear(b) || roomOf(b) - roomOf(a) || compare(a.ID, b.ID));
}

/** Whom the blocks can come from, the best first: the writer, then who has all of them. */
export function sourcesOf(core: ArchiveCore, except: string, facts: Pick<CopyFacts, 'node'>): string[] {
  const whole = core.Holders.filter(({ NodeID, Length }) => NodeID !== except && Length >= core.Length);
  return [core.NodeID, ...whole.map(({ NodeID }) => NodeID)].filter((id) => isReady(facts, id));
}

const hasSource = (core: ArchiveCore, nodeId: string, facts: CopyFacts): boolean =>
  sourcesOf(core, nodeId, facts).length > 0;

/** Whether a node that has failed could do it: one that is down, or to which nobody can send, has refused nothing, and is asked again when that is over. */
export function couldDo(action: CopyAction, nodeId: string, facts: CopyFacts): boolean {
  return isReady(facts, nodeId) && (action.kind !== 'hold' || hasSource(action.core, nodeId, facts));
}

export function isReady({ node }: Pick<CopyFacts, 'node'>, id: string): boolean {
  return node(id)?.Status === 'ready';
}

function isThere({ node, now }: CopyFacts, id: string): boolean {
  const found = node(id);
  if (!found) return false;
  return found.Status === 'ready' || now - found.StatusUpdatedAt * 1_000 < AWAY_MS;
}

const roomOf = ({ Attributes }: Node): number => Number(Attributes['unique.storage.bytesfree'] ?? 0);
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function sameHolders(a: readonly ArchiveHolder[], b: readonly ArchiveHolder[]): boolean {
  return a.length === b.length && a.every(({ NodeID }) => b.some((other) => other.NodeID === NodeID));
}
