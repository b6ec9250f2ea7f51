import { type CsiAccessMode, type CsiCapacityRange, CsiError, type CsiVolumeCapability } from './csi.js';

// What the specification demands of every plugin alike.

/** Names have at most 128 bytes. */
const NAME_BYTES_MAX = 128;

/** A field that must be there. Throws INVALID_ARGUMENT. */
export function needField(value: string, name: string): string {
  if (value === '') throw new CsiError('INVALID_ARGUMENT', `${name} is missing`);
  return value;
}

export function needName(name: string): string {
  if (Buffer.byteLength(needField(name, 'name')) > NAME_BYTES_MAX)
    throw new CsiError('INVALID_ARGUMENT', `name has more than ${NAME_BYTES_MAX} bytes`);
  return name;
}

/** A capability that says how the volume is used and by how many. Throws INVALID_ARGUMENT. */
export function needCapability(capability: CsiVolumeCapability | null): {
  access: 'block' | 'mount';
  mode: CsiAccessMode;
  fsType: string;
  mountFlags: string[];
} {
  if (!capability) throw new CsiError('INVALID_ARGUMENT', 'volume_capability is missing');
  const { block, mount, accessMode } = capability;
  if (!block && !mount) throw new CsiError('INVALID_ARGUMENT', 'volume_capability says neither block nor mount');
  if (!accessMode || accessMode.mode === 'UNKNOWN')
    throw new CsiError('INVALID_ARGUMENT', 'volume_capability has no access mode');
  return {
    access: block ? 'block' : 'mount',
    mode: accessMode.mode,
    fsType: mount?.fsType ?? '',
    mountFlags: mount?.mountFlags ?? [],
  };
}

export function needCapabilities(capabilities: CsiVolumeCapability[]): ReturnType<typeof needCapability>[] {
  if (capabilities.length === 0) throw new CsiError('INVALID_ARGUMENT', 'volume_capabilities are missing');
  return capabilities.map(needCapability);
}

/** Both bounds, 0 where none was given. Throws INVALID_ARGUMENT or OUT_OF_RANGE for bounds that nothing can satisfy. */
export function readRange(range: CsiCapacityRange | null): CsiCapacityRange {
  const { requiredBytes = 0, limitBytes = 0 } = range ?? {};
  if (requiredBytes < 0 || limitBytes < 0)
    throw new CsiError('INVALID_ARGUMENT', 'capacity_range has a negative bound');
  if (limitBytes > 0 && requiredBytes > limitBytes)
    throw new CsiError('OUT_OF_RANGE', `capacity_range demands ${requiredBytes} bytes and allows ${limitBytes}`);
  return { requiredBytes, limitBytes };
}

/** Whether a volume of `capacityBytes` is what the range asks for. */
export function fitsRange(capacityBytes: number, { requiredBytes, limitBytes }: CsiCapacityRange): boolean {
  return capacityBytes >= requiredBytes && (limitBytes === 0 || capacityBytes <= limitBytes);
}

export function isReadOnlyMode(mode: CsiAccessMode): boolean {
  return mode === 'SINGLE_NODE_READER_ONLY' || mode === 'MULTI_NODE_READER_ONLY';
}

/**
 * One page of `all`, which must be sorted by `key`. The token is the last key given: entries that come or go meanwhile
 * shift nothing. Throws ABORTED for a token that is none.
 */
export function pageOf<T>(
  all: readonly T[],
  { key, maxEntries, startingToken }: { key: (item: T) => string; maxEntries: number; startingToken: string },
): { items: T[]; nextToken: string } {
  if (maxEntries < 0) throw new CsiError('INVALID_ARGUMENT', 'max_entries is negative');
  if (startingToken !== '' && !startingToken.startsWith('after:'))
    throw new CsiError(
      'ABORTED',
      `starting_token "${startingToken}" is none of this plugin's: list from the beginning`,
    );
  const after = startingToken.slice('after:'.length);
  const rest = startingToken === '' ? all : all.filter((item) => key(item) > after);
  const items = maxEntries === 0 ? [...rest] : rest.slice(0, maxEntries);
  const last = items.at(-1);
  return { items, nextToken: last !== undefined && items.length < rest.length ? `after:${key(last)}` : '' };
}

/** Lets the operations on one volume happen one after the other, as orchestrators may repeat one that is under way. */
export class Turns {
  private readonly last = new Map<string, Promise<unknown>>();

  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.last.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.catch(() => {});
    this.last.set(key, settled);
    try {
      return await mine;
    } finally {
      if (this.last.get(key) === settled) this.last.delete(key);
    }
  }
}
