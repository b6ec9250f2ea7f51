import type { HostVolumeUpsertCommand } from '../state/volume-commands.js';
import type { Constraint } from '../structs/constraint.js';
import { CSI_ATTACHMENT_MODES } from '../structs/csi.js';
import { MeshError } from '../structs/errors.js';
import type { HostVolume } from '../structs/host-volume.js';
import { HOST_ACCESS_MODES, type VolumeCapability } from '../structs/volume.js';
import { objects, type Refuse, texts } from './spec-fields.js';

const ACCESS_MODES: readonly string[] = HOST_ACCESS_MODES;
const ATTACHMENT_MODES: readonly string[] = CSI_ATTACHMENT_MODES;

/** A name is part of paths and of job files. */
const NAME = /^[A-Za-z0-9._-]{1,128}(\[\d{1,6}\])?$/;

type Wanted = HostVolumeUpsertCommand['volume'];

/** What a person handed in, whole and checked. Throws E_BAD_REQUEST naming what is wrong. */
export function checkHostVolume(given: Partial<HostVolume> | undefined, defaultNamespace: string): Wanted {
  if (!given || typeof given !== 'object') throw new MeshError('E_BAD_REQUEST', 'missing volume definition');
  const name = text(given.Name);
  const refuse = (what: string): never => {
    throw new MeshError('E_BAD_REQUEST', name === '' ? `volume: ${what}` : `volume "${name}": ${what}`);
  };
  if (name === '') refuse('it has no name');
  if (!NAME.test(name)) refuse('a name is made of letters, digits, and . _ -, and may end with an index like [0]');
  const [min, max] = [given.RequestedCapacityMinBytes ?? 0, given.RequestedCapacityMaxBytes ?? 0];
  if (!isSize(min) || !isSize(max)) refuse('a capacity is a whole number of bytes');
  if (max > 0 && min > max) refuse(`capacity_min (${min}) is above capacity_max (${max})`);
  return {
    ID: text(given.ID),
    Name: name,
    Namespace: text(given.Namespace) || defaultNamespace,
    PluginID: text(given.PluginID),
    NodePool: text(given.NodePool),
    NodeID: text(given.NodeID),
    Constraints: constraints(given.Constraints, refuse),
    RequestedCapacityMinBytes: min,
    RequestedCapacityMaxBytes: max,
    CapacityBytes: isSize(given.CapacityBytes ?? 0) ? (given.CapacityBytes ?? 0) : 0,
    RequestedCapabilities: capabilities(given.RequestedCapabilities, refuse),
    Parameters: texts('Parameters', given.Parameters, refuse),
    HostPath: text(given.HostPath),
  };
}

/** Without any, one allocation after the other may write. */
function capabilities(given: unknown, refuse: Refuse): VolumeCapability[] {
  const list = (objects('RequestedCapabilities', given, refuse) ?? []) as unknown as VolumeCapability[];
  if (list.length === 0) return [{ AccessMode: 'single-node-writer', AttachmentMode: 'file-system' }];
  return list.map(({ AccessMode, AttachmentMode }) => {
    if (!ACCESS_MODES.includes(AccessMode)) {
      refuse(`unknown access_mode ${JSON.stringify(AccessMode)}; it is one of ${ACCESS_MODES.join(', ')}`);
    }
    if (AttachmentMode && !ATTACHMENT_MODES.includes(AttachmentMode)) {
      refuse(`unknown attachment_mode ${JSON.stringify(AttachmentMode)}; it is ${ATTACHMENT_MODES.join(' or ')}`);
    }
    return { AccessMode, AttachmentMode: AttachmentMode || 'file-system' };
  });
}

function constraints(given: unknown, refuse: Refuse): Constraint[] | null {
  const list = objects('Constraints', given, refuse);
  const whole = (one: Record<string, unknown>): Constraint => {
    const { LTarget = '', RTarget = '', Operand = '=' } = texts('each of its Constraints', one, refuse) ?? {};
    return { LTarget, RTarget, Operand };
  };
  return list?.map(whole) ?? null;
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const isSize = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
