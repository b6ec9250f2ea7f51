import type { ListOptions } from '../../state/store.js';
import { MeshError } from '../../structs/errors.js';
import type { QueryOptions } from '../../structs/rpc.js';
import type { AutopilotPart } from '../autopilot/part.js';
import type { CoreGc } from '../core-gc.js';
import type { Controllers } from '../csi/controllers.js';
import type { Keyring } from '../keyring/keyring.js';
import type { Issuer } from '../mesh/issuer.js';
import type { NodeLeases } from '../node-leases.js';
import type { NodePaths } from '../node-path.js';
import type { NodeWatch } from '../node-watch.js';
import type { Periodic } from '../periodic.js';
import type { Archives } from '../volume-data/archives.js';
import type { Archivist } from '../volume-data/archivist.js';
import type { VolumeWatcher } from '../volume-watcher.js';
import type { Schedule } from '../worker.js';
import type { ServerWorld } from '../world.js';

// Every endpoint file has the same shape: a function from this context to the handlers of one noun, each of which guards
// its arguments, then reads (through answerQuery) or proposes.

export interface EndpointContext extends ServerWorld {
  readonly schedule: Schedule;
  readonly nodeWatch: NodeWatch;
  readonly coreGc: CoreGc;
  readonly periodic: Periodic;
  readonly autopilot: AutopilotPart;
  readonly nodePaths: NodePaths;
  readonly keyring: Keyring;
  /** See `firstKey`: to be called before the active key is asked for. */
  readonly ensureKey: () => Promise<void>;
  /** When the leases of each node end: of the leader. */
  readonly leases: NodeLeases;
  readonly controllers: Controllers;
  readonly volumeWatcher: VolumeWatcher;
  readonly archives: Archives;
  readonly archivist: Archivist;
  /** Signs certificates; absent in no mesh. */
  readonly issuer: Issuer | undefined;
}

/** The namespace of a request that concerns one object. */
export function namespaceOf(args: { Namespace?: string }): string {
  return args.Namespace === undefined || args.Namespace === '' ? 'default' : args.Namespace;
}

/** What a list query narrows down to. */
export function listOptions(args: QueryOptions): ListOptions {
  return { namespace: namespaceOf(args), ...(args.Prefix ? { prefix: args.Prefix } : {}) };
}

/** The same for what is looked through in turns: what is not wanted is gone through, too. */
export function listed(args: QueryOptions): {
  options: { readonly prefix?: string };
  wanted: (row: { Namespace: string }) => boolean;
} {
  const namespace = namespaceOf(args);
  return {
    options: args.Prefix ? { prefix: args.Prefix } : {},
    wanted: ({ Namespace }) => namespace === '*' || Namespace === namespace,
  };
}

/** Refuses a missing or wrong-typed text argument with E_BAD_REQUEST; `name` is what the user calls it. */
export function requireText(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new MeshError('E_BAD_REQUEST', `missing ${name}`);
}

/** The thing, or E_NOT_FOUND: "job not found". */
export function requireFound<T>(value: T | undefined, name: string): T {
  if (value !== undefined) return value;
  throw new MeshError('E_NOT_FOUND', `${name} not found`);
}

/** Prints a time as Go's JSON does. */
export const rfc3339 = (ms: number): string => new Date(ms).toISOString();
