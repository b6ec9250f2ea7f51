import type { ClientDb } from '../../storage/client-db.js';
import type { CsiUsage } from './paths.js';

/**
 * How far an allocation has come with a volume. Written before each step, so that whoever comes after a crash knows what
 * may have happened: from `claiming` on the servers may hold a claim, from `mounting` on something may be mounted.
 *   claiming ─► mounting ─► mounted ─► unmounting ─► unmounted ─► (forgotten once the servers know)
 */
export type CsiStep = 'claiming' | 'mounting' | 'mounted' | 'unmounting' | 'unmounted';

/** What is kept of one volume of an allocation. No secrets: they come with each claim anew. */
export interface CsiRecord extends CsiUsage {
  step: CsiStep;
  mode: 'read' | 'write';
  /** '' until the volume is claimed. */
  pluginId: string;
  externalId: string;
  /** 0 until it is claimed. */
  fence: number;
  /** Whether its plugin mounted something where it appears, so that it can be seen to be gone; absent until it is mounted. */
  isMount?: boolean;
}

/** By the volume's name in the group. */
export type CsiRecords = Readonly<Record<string, CsiRecord>>;

/** The name of the allocation hook that keeps them. */
export const CSI_HOOK = 'csi';

/** What an allocation keeps; empty when it has none. */
export function recordsOf(db: Pick<ClientDb, 'allocs'>, allocId: string): CsiRecords {
  return (db.allocs.get(allocId)?.hooks[CSI_HOOK] ?? {}) as CsiRecords;
}

/** True while something of the volume may be mounted for the allocation. */
export function mayBeMounted({ step }: CsiRecord): boolean {
  return step === 'mounting' || step === 'mounted' || step === 'unmounting';
}
