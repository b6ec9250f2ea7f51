import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { CsiAccessMode, CsiAttachmentMode } from '../../structs/csi.js';

// Where things lie under the client's csi directory:
//   p/HASH/csi.sock                                   the socket of one task that is a plugin
//   node/PLUGIN/staging/NAMESPACE/VOLUME/USAGE        where a volume is staged, once for all allocations that use it alike
//   node/PLUGIN/per-alloc/ALLOC/VOLUME/USAGE          where it is published for one allocation
// `node/PLUGIN` is what a plugin with a root of its own sees at its stage_publish_base_dir.

/** How an allocation uses a volume; those who use it alike share its staging. */
export interface CsiUsage {
  namespace: string;
  volumeId: string;
  readOnly: boolean;
  attachmentMode: CsiAttachmentMode;
  accessMode: CsiAccessMode;
}

/** A directory for the socket of one task; short, since a socket's path has at most 107 bytes. */
export function socketDir(csiDir: string, allocId: string, task: string): string {
  return join(csiDir, 'p', createHash('sha256').update(`${allocId}/${task}`).digest('hex').slice(0, 12));
}

/** What a plugin's node part may use to stage and publish. */
export function nodeBase(csiDir: string, pluginId: string): string {
  return join(csiDir, 'node', segment(pluginId));
}

/** Below a node base. */
export function stagingPath(usage: CsiUsage): string {
  return join('staging', segment(usage.namespace), segment(usage.volumeId), usageName(usage));
}

/** Below a node base. */
export function publishPath(allocId: string, usage: CsiUsage): string {
  return join('per-alloc', segment(allocId), segment(usage.volumeId), usageName(usage));
}

function usageName({ readOnly, attachmentMode, accessMode }: CsiUsage): string {
  return `${readOnly ? 'ro' : 'rw'}-${attachmentMode}-${accessMode}`;
}

const SEGMENT_LENGTH_MAX = 120;

/** Any id as one name of a path. */
function segment(id: string): string {
  const safe = encodeURIComponent(id).replace(/^\.+/, (dots) => '%2E'.repeat(dots.length));
  if (safe.length <= SEGMENT_LENGTH_MAX) return safe;
  return `${safe.slice(0, 80)}-${createHash('sha256').update(id).digest('hex').slice(0, 24)}`;
}
