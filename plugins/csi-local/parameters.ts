import { type CsiCapacityRange, CsiError } from '../../lib/plugin/sdk/csi.js';
import type { needCapability } from '../../lib/plugin/sdk/csi-checks.js';
import { nearest } from '../../lib/util/nearest.js';
import { FILE_SYSTEMS } from './image.js';
import type { StoredVolume, VolumeKind } from './store.js';

/** What one asks for that says no size. */
const SIZE_DEFAULT = 1 << 30;
const MIB = 1 << 20;

/** How a new volume is to be; everything about it but its name. */
export type Wish = Pick<StoredVolume, 'kind' | 'capacityBytes' | 'thin' | 'mode' | 'uid' | 'gid'>;

const KNOWN = ['kind', 'thin', 'mode', 'uid', 'gid'];

/**
 * Reads the parameters of a volume. A size is a promise that only an image can keep, so a volume with one is an image
 * unless `kind = "directory"` says otherwise. Throws INVALID_ARGUMENT or OUT_OF_RANGE.
 */
export function readWish(
  parameters: Record<string, string>,
  capabilities: ReturnType<typeof needCapability>[],
  range: CsiCapacityRange,
): Wish {
  const given = Object.fromEntries(
    Object.entries(parameters).filter(([key]) => !key.startsWith('csi.storage.k8s.io/')),
  );
  for (const key of Object.keys(given)) {
    if (KNOWN.includes(key)) continue;
    const near = nearest(key, KNOWN);
    const hint = near ? `did you mean "${near}"?` : `known are ${KNOWN.join(', ')}`;
    throw new CsiError('INVALID_ARGUMENT', `unknown parameter "${key}": ${hint}`);
  }
  const isBlock = capabilities.some(({ access }) => access === 'block');
  const kind = given['kind'] ?? (isBlock || range.requiredBytes > 0 || range.limitBytes > 0 ? 'image' : 'directory');
  if (kind !== 'image' && kind !== 'directory')
    throw new CsiError('INVALID_ARGUMENT', `parameter kind = "${kind}": it must be "directory" or "image"`);
  if (isBlock && kind === 'directory')
    throw new CsiError('INVALID_ARGUMENT', 'a directory cannot be a block device: leave out kind = "directory"');
  const fsType = capabilities.find(({ access }) => access === 'mount')?.fsType ?? '';
  return {
    kind,
    capacityBytes: sizeOf(kind, knownFs(fsType), range),
    thin: flag(given, 'thin'),
    mode: octal(given['mode'] ?? '0777'),
    uid: numeric(given, 'uid'),
    gid: numeric(given, 'gid'),
  };
}

/** The file system of a capability, ext4 when it says none. Throws INVALID_ARGUMENT for one that cannot be made. */
export function knownFs(fsType: string): string {
  const name = fsType === '' ? 'ext4' : fsType;
  if (!FILE_SYSTEMS[name])
    throw new CsiError(
      'INVALID_ARGUMENT',
      `fs_type "${name}" is not offered: ${Object.keys(FILE_SYSTEMS).join(' or ')}`,
    );
  return name;
}

function sizeOf(kind: VolumeKind, fsType: string, { requiredBytes, limitBytes }: CsiCapacityRange): number {
  if (kind === 'directory') return requiredBytes;
  const least = FILE_SYSTEMS[fsType]?.sizeMin ?? 0;
  if (limitBytes > 0 && limitBytes < least)
    throw new CsiError('OUT_OF_RANGE', `${fsType} needs at least ${least} bytes, and ${limitBytes} are allowed`);
  const asked = Math.max(requiredBytes, least);
  if (requiredBytes === 0) return limitBytes > 0 ? Math.min(SIZE_DEFAULT, limitBytes) : SIZE_DEFAULT;
  return roundUp(asked, limitBytes);
}

/** To a full MiB where the limit allows; loop devices end at a full sector. Throws OUT_OF_RANGE. */
export function roundUp(bytes: number, limitBytes: number): number {
  const size = [MIB, 512]
    .map((unit) => Math.ceil(bytes / unit) * unit)
    .find((s) => limitBytes === 0 || s <= limitBytes);
  if (size === undefined)
    throw new CsiError('OUT_OF_RANGE', `no full sector of 512 bytes ends between ${bytes} and ${limitBytes} bytes`);
  return size;
}

function flag(given: Record<string, string>, key: string): boolean {
  const value = given[key] ?? 'false';
  if (value !== 'true' && value !== 'false')
    throw new CsiError('INVALID_ARGUMENT', `parameter ${key} = "${value}": it must be "true" or "false"`);
  return value === 'true';
}

/** -1 = left as it is. */
function numeric(given: Record<string, string>, key: string): number {
  const value = given[key];
  if (value === undefined) return -1;
  if (!/^\d{1,9}$/.test(value))
    throw new CsiError('INVALID_ARGUMENT', `parameter ${key} = "${value}": it must be a number`);
  return Number(value);
}

function octal(value: string): string {
  if (!/^[0-7]{3,4}$/.test(value))
    throw new CsiError('INVALID_ARGUMENT', `parameter mode = "${value}": it must be octal, like "0770"`);
  return value;
}
