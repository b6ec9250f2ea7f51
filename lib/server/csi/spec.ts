import {
  CSI_ACCESS_MODES,
  CSI_ATTACHMENT_MODES,
  type CsiMountOptions,
  type CsiTopology,
  type CsiTopologyRequest,
  type CsiVolumeSpec,
} from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';
import type { VolumeCapability } from '../../structs/volume.js';
import { isObject, objects, type Refuse, texts } from '../spec-fields.js';

const ACCESS_MODES: readonly string[] = CSI_ACCESS_MODES;
const ATTACHMENT_MODES: readonly string[] = CSI_ATTACHMENT_MODES;

/** Room for a name and the index that per_alloc adds; what would not survive a path or a terminal is refused. */
const ID = /^[A-Za-z0-9._~:-]{1,200}(\[\d{1,6}\])?$/;

/** A volume as somebody wants it: its secrets are still in clear. */
export type CsiVolumeDraft = Omit<
  CsiVolumeSpec,
  'AccessMode' | 'AttachmentMode' | 'CreateIndex' | 'ModifyIndex' | 'CreateTime' | 'ModifyTime'
>;

/** What a person handed in, whole and checked. Throws E_BAD_REQUEST naming what is wrong. */
export function checkVolumeSpec(given: Partial<CsiVolumeSpec> | undefined, defaultNamespace: string): CsiVolumeDraft {
  if (!given || typeof given !== 'object') throw new MeshError('E_BAD_REQUEST', 'missing volume definition');
  const id = text(given.ID);
  const refuse = (what: string): never => {
    throw new MeshError('E_BAD_REQUEST', id === '' ? `volume: ${what}` : `volume "${id}": ${what}`);
  };
  if (id === '') refuse('it has no id');
  if (!ID.test(id)) refuse('an id is made of letters, digits, and . _ ~ : -, and may end with an index like [0]');
  if (text(given.PluginID) === '') refuse('it names no plugin_id');
  const [min, max] = [given.RequestedCapacityMin ?? 0, given.RequestedCapacityMax ?? 0];
  if (!isSize(min) || !isSize(max)) refuse('a capacity is a whole number of bytes');
  if (max > 0 && min > max) refuse(`capacity_min (${min}) is above capacity_max (${max})`);
  if (text(given.CloneID) !== '' && text(given.SnapshotID) !== '') {
    refuse('it can be made from a clone_id or from a snapshot_id, not from both');
  }
  return {
    ID: id,
    Name: text(given.Name) || id,
    Namespace: text(given.Namespace) || defaultNamespace,
    ExternalID: text(given.ExternalID),
    PluginID: text(given.PluginID),
    RequestedTopologies: topologyRequest(given.RequestedTopologies, refuse),
    Topologies: topologies('Topologies', given.Topologies, refuse),
    MountOptions: mountOptions(given.MountOptions, refuse),
    Secrets: texts('Secrets', given.Secrets, refuse),
    Parameters: texts('Parameters', given.Parameters, refuse),
    Context: texts('Context', given.Context, refuse),
    Capacity: isSize(given.Capacity ?? 0) ? (given.Capacity ?? 0) : 0,
    RequestedCapacityMin: min,
    RequestedCapacityMax: max,
    RequestedCapabilities: capabilities(given, refuse),
    CloneID: text(given.CloneID),
    SnapshotID: text(given.SnapshotID),
  };
}

function topologies(name: string, given: unknown, refuse: Refuse): CsiTopology[] | null {
  const list = objects(name, given, refuse);
  return list?.map(({ Segments }) => ({ Segments: texts(`Segments of ${name}`, Segments, refuse) ?? {} })) ?? null;
}

function topologyRequest(given: unknown, refuse: Refuse): CsiTopologyRequest | null {
  if (given === undefined || given === null) return null;
  if (!isObject(given)) return refuse('RequestedTopologies is an object with Required and Preferred');
  return {
    Required: topologies('Required', given['Required'], refuse),
    Preferred: topologies('Preferred', given['Preferred'], refuse),
  };
}

function mountOptions(given: unknown, refuse: Refuse): CsiMountOptions | null {
  if (given === undefined || given === null) return null;
  const { FSType = '', MountFlags = null } = isObject(given) ? given : refuse('MountOptions is an object');
  const isList = Array.isArray(MountFlags) && MountFlags.every((flag) => typeof flag === 'string');
  if (typeof (FSType ?? '') !== 'string' || (MountFlags !== null && !isList)) {
    return refuse('MountOptions has an FSType, which is a text, and MountFlags, which is a list of texts');
  }
  return { FSType: (FSType ?? '') as string, MountFlags: MountFlags as string[] | null };
}

function capabilities(given: Partial<CsiVolumeSpec>, refuse: (what: string) => never): VolumeCapability[] {
  const asked = objects('RequestedCapabilities', given.RequestedCapabilities, refuse) ?? [];
  const list = [...asked] as unknown as VolumeCapability[];
  // As older files say it: one of each, beside the capabilities.
  if (given.AccessMode && given.AttachmentMode && list.length === 0) {
    list.push({ AccessMode: given.AccessMode, AttachmentMode: given.AttachmentMode });
  }
  if (list.length === 0) refuse('it has no capability: say how it may be used, with access_mode and attachment_mode');
  for (const { AccessMode, AttachmentMode } of list) {
    if (!ACCESS_MODES.includes(AccessMode)) {
      refuse(`unknown access_mode ${JSON.stringify(AccessMode)}; it is one of ${ACCESS_MODES.join(', ')}`);
    }
    if (!ATTACHMENT_MODES.includes(AttachmentMode)) {
      refuse(`unknown attachment_mode ${JSON.stringify(AttachmentMode)}; it is ${ATTACHMENT_MODES.join(' or ')}`);
    }
  }
  return list;
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const isSize = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
