import { freeOrEquals, int, list, one, type Struct, text, texts } from './field.js';
import { constraint } from './placement.js';

// Files of `volume create` and `volume register`: what stands in them stands at their top, there is no block around it.

const capability: Struct = {
  name: 'capability',
  fields: [text('access_mode', 'AccessMode', true), text('attachment_mode', 'AttachmentMode', true)],
};

/** As above; what a host volume's is attached as goes without saying. */
const hostCapability: Struct = {
  name: 'capability',
  fields: [text('access_mode', 'AccessMode', true), text('attachment_mode', 'AttachmentMode')],
};

const mountOptions: Struct = {
  name: 'mount_options',
  fields: [text('fs_type', 'FSType'), texts('mount_flags', 'MountFlags')],
  settle: (raw) => {
    raw['FSType'] ??= '';
    return undefined;
  },
};

const topology: Struct = { name: 'topology', fields: [freeOrEquals('segments', 'Segments')] };
const topologies: Struct = { name: 'topologies', fields: [list('topology', 'Topology', topology)] };

const topologyRequest: Struct = {
  name: 'topology_request',
  fields: [one('required', 'Required', topologies), one('preferred', 'Preferred', topologies)],
  settle: (raw) => {
    for (const key of ['Required', 'Preferred']) {
      const wrapped = raw[key] as { Topology?: unknown } | unknown[] | null | undefined;
      raw[key] = Array.isArray(wrapped) ? wrapped : (wrapped?.Topology ?? null);
    }
    return undefined;
  },
};

/** As the API has it: lists, with nothing around them. */
const topologyLists: Struct = {
  name: 'topology_request',
  fields: [list(null, 'Required', topology), list(null, 'Preferred', topology)],
};

/** What is to be done with its data without being asked. */
const backup: Struct = {
  name: 'backup',
  fields: [
    text('cron', 'Cron'),
    text('time_zone', 'TimeZone'),
    int('replicas', 'Replicas'),
    int('keep', 'KeepLast'),
    int('keep_hourly', 'KeepHourly'),
    int('keep_daily', 'KeepDaily'),
    int('keep_weekly', 'KeepWeekly'),
    int('keep_monthly', 'KeepMonthly'),
    int('keep_yearly', 'KeepYearly'),
  ],
};

/** Sizes are read as text ("10GiB") and become bytes afterwards. */
export const csiVolume: Struct = {
  name: 'volume',
  fields: [
    text('type', '~Type'),
    text('id', 'ID'),
    text('name', 'Name'),
    text('namespace', 'Namespace'),
    text('external_id', 'ExternalID'),
    text('plugin_id', 'PluginID'),
    text('snapshot_id', 'SnapshotID'),
    text('clone_id', 'CloneID'),
    text('capacity_min', 'RequestedCapacityMin'),
    text('capacity_max', 'RequestedCapacityMax'),
    text('access_mode', 'AccessMode'),
    text('attachment_mode', 'AttachmentMode'),
    list('capability', 'RequestedCapabilities', capability),
    one('mount_options', 'MountOptions', mountOptions),
    one('topology_request', 'RequestedTopologies', topologyRequest),
    one('backup', 'Backup', backup),
    freeOrEquals('secrets', 'Secrets'),
    freeOrEquals('parameters', 'Parameters'),
    freeOrEquals('context', 'Context'),
  ],
};

export const hostVolume: Struct = {
  name: 'volume',
  fields: [
    text('type', '~Type'),
    text('id', 'ID'),
    text('name', 'Name'),
    text('namespace', 'Namespace'),
    text('plugin_id', 'PluginID'),
    text('node_id', 'NodeID'),
    text('node_pool', 'NodePool'),
    text('host_path', 'HostPath'),
    text('capacity', 'CapacityBytes'),
    text('capacity_min', 'RequestedCapacityMinBytes'),
    text('capacity_max', 'RequestedCapacityMaxBytes'),
    list('capability', 'RequestedCapabilities', hostCapability),
    list('constraint', 'Constraints', constraint),
    one('backup', 'Backup', backup),
    freeOrEquals('parameters', 'Parameters'),
  ],
};

/** The volumes as the API has them, their sizes still text. */
export const API_VOLUME = {
  csi: {
    ...csiVolume,
    fields: csiVolume.fields.map((field) =>
      field.json === 'RequestedTopologies' ? one(null, 'RequestedTopologies', topologyLists) : field,
    ),
  },
  host: hostVolume,
} as const;
