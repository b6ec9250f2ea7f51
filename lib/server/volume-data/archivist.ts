import type { Commit } from '../../state/store.js';
import { MeshError } from '../../structs/errors.js';
import type { VolumeArchive, VolumeProgress } from '../../structs/volume-data.js';
import { backoffMs } from '../../util/backoff.js';
import type { Millis } from '../../util/clock.js';
import type { LeaderPart } from '../leader.js';
import type { NodePaths } from '../node-path.js';
import { createAlarm } from '../timers.js';
import type { ServerWorld } from '../world.js';
import type { Archives } from './archives.js';
import { type CopyAction, type CopyFacts, couldDo, isReady, nextCopyAction } from './copies.js';
import { doCopyAction, retire } from './copy-work.js';
import { clearScratch } from './csi-clear.js';
import { type CsiParts, scratchId } from './csi-scratch.js';
import { Deposed, type Hear } from './node-work.js';
import { type OperationParts, runOperation } from './operations.js';
import { beginScheduled, dueMs } from './schedule.js';
import { isThere } from './subject.js';

// The leader's hand in the copies of volumes' data: it takes operations to their end, follows schedules, and sees to it that copies
// lie where they should. Nothing of it is remembered but for how far nodes are: whoever leads next reads the state.

const RETRY = { baseMs: 2_000, maxMs: 60_000 };
/** A node that refused a copy, for want of room as a rule, is not asked again for so long. */
const REFUSED_MS: Millis = 10 * 60_000;
/** Nodes come and go without a change of the state that says so: it is looked again after this. */
const LOOK_MS: Millis = 60_000;

/** What is done for an archive at the same time. */
const LANES = ['operation', 'leftovers', 'scratch', 'copies'] as const;
type Lane = (typeof LANES)[number];

export interface Archivist extends LeaderPart {
  /** How far the operation of an archive is, as its node said last. */
  progress(archiveId: string): { progress: VolumeProgress | null; waits: string };
  /** Of nodes that are to hold a copy of a core, by node: how far they are, or why they refused lately. */
  copying(core: string): ReadonlyMap<string, string>;
}

export function createArchivist(
  world: ServerWorld,
  { paths, archives, csi }: { paths: NodePaths; archives: Archives; csi: CsiParts },
): Archivist {
  const { store, now, timers } = world;
  const log = world.log.child('volume_data');
  const heard = new Map<string, { progress: VolumeProgress | null; waits: string }>();
  /** How far a copy is, by core and node. */
  const copies = new Map<string, Map<string, string>>();
  /** By core and node. */
  const refusals = new Map<string, Map<string, { untilMs: Millis; why: string }>>();
  /** What is under way or has to wait, by lane and archive. */
  const lanes = new Map<string, { failures: number; dueMs: Millis }>();
  const alarm = createAlarm({ timers, now, ring: () => lookSoon() });
  let reign = 0;
  let leads = false;
  let isDue = false;

  const lookSoon = (): void => {
    if (isDue || !leads) return;
    isDue = true;
    timers.soon(() => {
      isDue = false;
      if (leads) look();
    });
  };

  const look = (): void => {
    let nextMs = now() + LOOK_MS;
    for (const archive of store.snapshot().volumeArchives()) {
      for (const lane of LANES) {
        const key = `${lane} ${archive.ID}`;
        const state = lanes.get(key);
        if (state && (state.dueMs === 0 || state.dueMs > now())) {
          if (state.dueMs > 0) nextMs = Math.min(nextMs, state.dueMs);
          continue;
        }
        const work = workOf(lane, archive);
        if (work) begin(key, archive, work);
      }
      const scheduled = dueMs(archive);
      if (scheduled !== undefined) nextMs = Math.min(nextMs, Math.max(scheduled, now() + RETRY.baseMs));
    }
    alarm.set(nextMs);
  };

  const partsOf = (mine: number): OperationParts => ({
    world,
    paths,
    archives,
    csi,
    leads: () => leads && reign === mine,
  });

  /** What there is to do for an archive; undefined: nothing. */
  const workOf = (lane: Lane, archive: VolumeArchive): ((parts: OperationParts) => Promise<void>) | undefined => {
    const facts = factsOf();
    if (lane === 'operation') {
      if (archive.Operation) {
        return (parts) =>
          runOperation(parts, archive.ID, (said) => {
            const { progress = null, waits = '' } = said as { progress?: VolumeProgress; waits?: string };
            heard.set(archive.ID, { progress, waits });
          });
      }
      const due = dueMs(archive);
      if (due === undefined || due > now() || !(archive.Csi || isReady(facts, archive.NodeID))) return undefined;
      return (parts) => beginScheduled(parts, archive);
    }
    if (lane === 'leftovers') {
      const there = archive.Leftovers.filter(({ NodeID }) => isReady(facts, NodeID));
      const leftover = there.find(({ Message }) => Message === undefined) ?? there[0];
      return leftover && ((parts) => retire(parts, archive, leftover));
    }
    if (lane === 'scratch') {
      const scratch = (archive.Scratch ?? []).find(({ ID, NodeID }) => {
        const isCurrent = archive.Operation !== null && scratchId(archive.Operation) === ID;
        // A node that is away may have it mounted still; one that was forgotten has not.
        return !isCurrent && (NodeID === '' || !facts.node(NodeID) || isReady(facts, NodeID));
      });
      return scratch && ((parts) => clearScratch(parts, archive, scratch));
    }
    if (isOver(archive)) return () => archives.delete(archive.ID);
    const action = nextCopyAction(archive, facts);
    if (!action) return undefined;
    const core = typeof action.core === 'string' ? action.core : action.core.Key;
    const nodeId = 'nodeId' in action ? action.nodeId : action.kind === 'prune' ? action.core.NodeID : '';
    const hear: Hear = (said) => {
      copies.set(core, new Map([[nodeId, 'progress' in said ? said.progress.Phase : said.waits]]));
    };
    return (parts) => noted(doCopyAction(parts, archive, action, hear), action, { core, nodeId });
  };

  /** There is nothing of the volume, and nothing of its backups. */
  const isOver = (archive: VolumeArchive): boolean => {
    const { VolumeID, Snapshots, Cores, Leftovers, Scratch = [], Operation } = archive;
    if (Snapshots.length + Cores.length + Leftovers.length + Scratch.length > 0 || Operation !== null) return false;
    return VolumeID !== '' && !isThere(store.snapshot(), archive);
  };

  const factsOf = (): CopyFacts => {
    const state = store.snapshot();
    return {
      node: (id) => state.nodeById(id),
      nodes: () => state.nodes(),
      now: now(),
      refused: (core, nodeId) => (refusals.get(core)?.get(nodeId)?.untilMs ?? 0) > now(),
    };
  };

  /** Who refuses is passed over for a while, so that others get their turn. */
  const noted = async (
    work: Promise<void>,
    action: CopyAction,
    { core, nodeId }: { core: string; nodeId: string },
  ): Promise<void> => {
    try {
      await work;
    } catch (error) {
      if (error instanceof MeshError && couldDo(action, nodeId, factsOf())) {
        const known = refusals.get(core) ?? new Map();
        refusals.set(core, known.set(nodeId, { untilMs: now() + REFUSED_MS, why: error.message }));
      }
      throw error;
    } finally {
      copies.delete(core);
    }
  };

  const begin = (key: string, archive: VolumeArchive, work: (parts: OperationParts) => Promise<void>): void => {
    const mine = reign;
    const state = lanes.get(key) ?? { failures: 0, dueMs: 0 };
    lanes.set(key, { ...state, dueMs: 0 });
    void work(partsOf(mine))
      .then(
        () => ({ failures: 0, dueMs: now() }),
        (error: unknown) => {
          if (!(error instanceof Deposed)) tell(archive, error);
          const failures = state.failures + 1;
          return { failures, dueMs: now() + backoffMs({ attempt: failures, ...RETRY, random: world.random }) };
        },
      )
      .then((after) => {
        if (mine !== reign) return;
        lanes.set(key, after);
        if (key.startsWith('operation')) heard.delete(archive.ID);
        lookSoon();
      });
  };

  const tell = ({ Name }: VolumeArchive, error: unknown): void => {
    if (error instanceof MeshError)
      log.warn('work on the copies of a volume has to wait', { volume: Name, why: error.message });
    else
      log.error('work on the copies of a volume failed', {
        volume: Name,
        reason: (error as Error).stack ?? String(error),
      });
  };

  return {
    name: 'archivist',
    progress: (archiveId) => heard.get(archiveId) ?? { progress: null, waits: '' },
    copying(core) {
      const current = [...(refusals.get(core) ?? [])].filter(([, { untilMs }]) => untilMs > now());
      return new Map([...current.map(([nodeId, { why }]) => [nodeId, why] as const), ...(copies.get(core) ?? [])]);
    },
    begin() {
      leads = true;
      reign++;
      lookSoon();
    },
    end() {
      leads = false;
      reign++;
      lanes.clear();
      heard.clear();
      refusals.clear();
      copies.clear();
      alarm.set(undefined);
    },
    saw({ changes }: Commit) {
      const isOurs = changes.some(
        ({ table, ...change }) =>
          table === 'volume_archives' ||
          (table === 'nodes' &&
            (change.before as { Status?: string })?.Status !== (change.after as { Status?: string })?.Status),
      );
      if (isOurs) lookSoon();
    },
  };
}
