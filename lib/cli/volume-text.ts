import type {
  CsiCapacity,
  CsiClaim,
  CsiPastClaim,
  CsiPlugin,
  CsiTopology,
  CsiVolume,
  CsiVolumeAtStorage,
  CsiVolumeListStub,
  CsiVolumeUse,
} from '../structs/csi.js';
import type { HostVolumeListStub, HostVolumeView } from '../structs/host-volume.js';
import { formatAgo, formatBytes, formatPairs, formatTable, formatTime, shortId } from './format.js';
import { allocTable } from './tables.js';

interface Shown {
  verbose: boolean;
  nowMs: number;
}

/** The table of CSI volumes that `volume status` prints. */
export function csiVolumeTable(volumes: readonly CsiVolumeListStub[], namespaces: boolean): string {
  const rows = volumes.map((volume) => [
    ...(namespaces ? [volume.Namespace] : []),
    volume.ID,
    volume.Name,
    volume.PluginID,
    String(volume.Schedulable),
    volume.AccessMode,
  ]);
  const head = [...(namespaces ? ['Namespace'] : []), 'ID', 'Name', 'Plugin ID', 'Schedulable', 'Access Mode'];
  return formatTable([head, ...rows]);
}

/** The table of host volumes likewise. */
export function hostVolumeTable(volumes: readonly HostVolumeListStub[], { verbose }: { verbose: boolean }): string {
  const rows = volumes.map((volume) => [
    shortId(volume.ID, verbose),
    volume.Name,
    volume.Namespace,
    volume.PluginID,
    shortId(volume.NodeID, verbose),
    volume.NodePool,
    volume.State,
  ]);
  return formatTable([['ID', 'Name', 'Namespace', 'Plugin ID', 'Node ID', 'Node Pool', 'State'], ...rows]);
}

/** One CSI volume: what it is, who holds it and since when, and what a release waits for. */
export function csiVolumeText(
  volume: CsiVolume,
  { uses, atStorage }: { uses: readonly CsiVolumeUse[]; atStorage: CsiVolumeAtStorage | null },
  shown: Shown,
): string {
  const { MountOptions: mount } = volume;
  const options = [
    ...(mount?.FSType ? [`fs_type: ${mount.FSType}`] : []),
    ...(mount?.MountFlags?.length ? [`flags: ${mount.MountFlags.join(', ')}`] : []),
  ];
  const facts: [string, string | number | boolean][] = [
    ['ID', volume.ID],
    ['Name', volume.Name],
    ['Namespace', volume.Namespace],
    ['External ID', volume.ExternalID],
    ['Plugin ID', volume.PluginID],
    ['Provider', volume.Provider],
    ['Version', volume.ProviderVersion],
    ['Capacity', volume.Capacity > 0 ? formatBytes(volume.Capacity) : ''],
    ['Schedulable', volume.Schedulable],
    ...(volume.SchedulableReason === '' ? [] : ([['Waits For', volume.SchedulableReason]] as [string, string][])),
    ['Controllers Healthy', volume.ControllersHealthy],
    ['Controllers Expected', volume.ControllersExpected],
    ['Nodes Healthy', volume.NodesHealthy],
    ['Nodes Expected', volume.NodesExpected],
    ['Access Mode', volume.AccessMode],
    ['Attachment Mode', volume.AttachmentMode],
    ['Mount Options', options.join(' ')],
  ];
  const parts = [formatPairs(facts)];
  if (shown.verbose) parts.push(`Capabilities\n${capabilityTable(volume)}`);
  if (shown.verbose && (volume.Topologies ?? []).length > 0) parts.push(`Topologies\n${topologyTable(volume)}`);
  const storage = atStorage && storageText(volume, atStorage, shown);
  if (storage) parts.push(`At The Storage\n${storage}`);
  parts.push(`Claims\n${claimTable(volume.Claims, shown)}`);
  const told = uses.filter(({ Usage, Condition }) => Usage.length > 0 || Condition !== null || shown.verbose);
  if (told.length > 0) parts.push(`Usage\n${useTable(told, shown)}`);
  // What was done by force everybody should see, not only who looks closely.
  const past = volume.PastClaims.filter(({ ForcedReason }) => shown.verbose || ForcedReason !== '');
  if (past.length > 0) parts.push(`${shown.verbose ? 'Past Claims' : 'Detached By Force'}\n${pastTable(past, shown)}`);
  parts.push(`Allocations\n${allocTable(volume.Allocations, shown)}`);
  return parts.join('\n\n');
}

function capabilityTable(volume: CsiVolume): string {
  const rows = volume.RequestedCapabilities.map(({ AccessMode, AttachmentMode }) => [AccessMode, AttachmentMode]);
  return formatTable([['Access Mode', 'Attachment Mode'], ...rows]);
}

function topologyTable(volume: CsiVolume): string {
  const rows = (volume.Topologies ?? []).map((topology, i) => [String(i), segmentsText(topology)]);
  return formatTable([['Topology', 'Segments'], ...rows]);
}

/** What its plugin's controller says; '' = nothing that is worth a line. */
function storageText(volume: CsiVolume, found: CsiVolumeAtStorage, { verbose }: Shown): string {
  const { State, Reason, Condition, Published } = found;
  if (State === 'lost')
    return `Lost: plugin ${JSON.stringify(volume.PluginID)} has no volume ${JSON.stringify(volume.ExternalID)} any more. It was not deleted here; "volume deregister" forgets it`;
  if (State === 'unknown') return Reason === '' ? '' : `Not known: ${Reason}`;
  const isOther = found.CapacityBytes > 0 && volume.Capacity > 0 && found.CapacityBytes !== volume.Capacity;
  const nodes = (Published ?? []).map(({ ExternalNodeID, NodeID, IsClaimed }) => {
    const node = NodeID === '' ? `${ExternalNodeID} (no node of this mesh)` : shortId(NodeID, verbose);
    return IsClaimed || NodeID === '' ? node : `${node} (without a claim)`;
  });
  const facts: [string, string][] = [
    ...(Condition
      ? ([['Condition', [Condition.Abnormal ? 'abnormal' : 'well', Condition.Message].filter(Boolean).join(': ')]] as [
          string,
          string,
        ][])
      : []),
    ...(isOther ? ([['Capacity', formatBytes(found.CapacityBytes)]] as [string, string][]) : []),
    ...(Published ? ([['Attached To', nodes.join(', ') || 'no node']] as [string, string][]) : []),
  ];
  return facts.length === 0 ? '' : formatPairs(facts);
}

function claimTable(claims: readonly CsiClaim[], { verbose, nowMs }: Shown): string {
  if (claims.length === 0) return 'Nobody holds it';
  const when = (ms: number): string => (verbose ? formatTime(ms * 1e6) : formatAgo(ms * 1e6, nowMs));
  const isForced = claims.some(({ ForcedReason }) => ForcedReason !== '');
  const rows = claims.map((claim) => [
    shortId(claim.AllocationID, verbose),
    shortId(claim.NodeID, verbose),
    claim.Mode,
    claim.State,
    when(claim.TakenAt),
    claim.WaitsFor === '' ? '' : `${claim.WaitsFor} (since ${when(claim.WaitsSince)})`,
    ...(isForced ? [claim.ForcedReason] : []),
  ]);
  const head = ['Alloc ID', 'Node ID', 'Mode', 'State', 'Taken', 'Waits For', ...(isForced ? ['By Force'] : [])];
  return formatTable([head, ...rows]);
}

function useTable(uses: readonly CsiVolumeUse[], { verbose }: Shown): string {
  const rows = uses.map(({ AllocationID, Usage, Condition, Error: why }) => {
    const [bytes, inodes] = ['BYTES', 'INODES'].map((unit) => Usage.find(({ Unit }) => Unit === unit));
    const condition = Condition?.Abnormal ? 'abnormal' : Condition ? 'well' : '';
    return [
      shortId(AllocationID, verbose),
      bytes ? formatBytes(bytes.Used) : '',
      bytes ? formatBytes(bytes.Total) : '',
      bytes ? formatBytes(bytes.Available) : '',
      inodes ? `${inodes.Used}/${inodes.Total}` : '',
      why || [condition, Condition?.Message ?? ''].filter((part) => part !== '').join(': '),
    ];
  });
  return formatTable([['Alloc ID', 'Used', 'Size', 'Free', 'Inodes', 'Condition'], ...rows]);
}

function pastTable(claims: readonly CsiPastClaim[], { verbose, nowMs }: Shown): string {
  const when = (ms: number): string => (verbose ? formatTime(ms * 1e6) : formatAgo(ms * 1e6, nowMs));
  const rows = claims
    .toReversed()
    .map((claim) => [
      shortId(claim.AllocationID, verbose),
      shortId(claim.NodeID, verbose),
      claim.Mode,
      when(claim.TakenAt),
      when(claim.FreedAt),
      claim.Proof,
      claim.ForcedReason,
    ]);
  return formatTable([['Alloc ID', 'Node ID', 'Mode', 'Taken', 'Freed', 'Proof', 'Reason'], ...rows]);
}

/** One host volume. */
export function hostVolumeText(volume: HostVolumeView, shown: Shown): string {
  const facts = formatPairs([
    ['ID', volume.ID],
    ['Name', volume.Name],
    ['Namespace', volume.Namespace],
    ['Plugin ID', volume.PluginID],
    ['Node ID', volume.NodeID],
    ['Node Pool', volume.NodePool],
    ['Capacity', hostCapacity(volume)],
    ['State', volume.State],
    ['Host Path', volume.HostPath],
  ]);
  const capabilities = volume.RequestedCapabilities.map(({ AccessMode, AttachmentMode }) => [
    AccessMode,
    AttachmentMode,
  ]);
  const table = formatTable([['Access Mode', 'Attachment Mode'], ...capabilities]);
  return `${facts}\n\nCapabilities\n${table}\n\nAllocations\n${allocTable(volume.Allocations, shown)}`;
}

/** What its plugin says; one that says nothing keeps to no size, whatever was asked for. */
function hostCapacity({
  CapacityBytes,
  RequestedCapacityMinBytes: min,
  RequestedCapacityMaxBytes: max,
}: HostVolumeView): string {
  if (CapacityBytes > 0) return formatBytes(CapacityBytes);
  return min + max === 0 ? '' : `${formatBytes(min || max)} asked for; the plugin keeps to no size`;
}

/** One plugin. */
export function pluginText(plugin: CsiPlugin, capacity: readonly CsiCapacity[], shown: Shown): string {
  const facts = formatPairs([
    ['ID', plugin.ID],
    ['Provider', plugin.Provider],
    ['Version', plugin.Version],
    ['Controllers Healthy', plugin.ControllersHealthy],
    ['Controllers Expected', plugin.ControllersExpected],
    ['Nodes Healthy', plugin.NodesHealthy],
    ['Nodes Expected', plugin.NodesExpected],
  ]);
  const parts = [facts];
  const mixed = providersText(plugin, shown);
  if (mixed) parts.push(mixed);
  const unhealthy = [...Object.entries(plugin.Controllers), ...Object.entries(plugin.Nodes)].filter(
    ([, { Healthy }]) => !Healthy,
  );
  if (unhealthy.length > 0) {
    const rows = unhealthy.map(([nodeId, info]) => [
      shortId(nodeId, shown.verbose),
      info.ControllerInfo ? 'controller' : 'node',
      info.HealthDescription,
    ]);
    parts.push(`Unhealthy\n${formatTable([['Node ID', 'Part', 'Why'], ...rows])}`);
  }
  if (capacity.length > 0) parts.push(`Capacity (for volumes without parameters)\n${capacityTable(capacity)}`);
  if (shown.verbose) parts.push(...capabilities(plugin));
  parts.push(`Allocations\n${allocTable(plugin.Allocations, shown)}`);
  return parts.join('\n\n');
}

function capacityTable(capacity: readonly CsiCapacity[]): string {
  const isTold = capacity.some(({ Error: why }) => why !== '');
  const rows = capacity.map(({ Topology, Available, MaximumVolume, Error: why }) => [
    Topology ? segmentsText(Topology) : 'everywhere',
    why === '' ? formatBytes(Available) : '',
    why === '' && MaximumVolume > 0 ? formatBytes(MaximumVolume) : '',
    ...(isTold ? [why] : []),
  ]);
  return formatTable([['Where', 'Available', 'Largest Volume', ...(isTold ? ['Why Unknown'] : [])], ...rows]);
}

const segmentsText = ({ Segments }: CsiTopology): string =>
  Object.entries(Segments ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');

/** A warning where instances of different drivers share the id; '' = they are one driver's. */
function providersText({ ID, Controllers, Nodes }: CsiPlugin, shown: Shown): string {
  const nodesOf = new Map<string, Set<string>>();
  for (const [nodeId, { Provider }] of [...Object.entries(Controllers), ...Object.entries(Nodes)]) {
    // One that has not answered yet has no name.
    if (Provider === '') continue;
    nodesOf.set(Provider, (nodesOf.get(Provider) ?? new Set()).add(shortId(nodeId, shown.verbose)));
  }
  if (nodesOf.size < 2) return '';
  const rows = [...nodesOf].sort().map(([provider, nodes]) => [provider, [...nodes].sort().join(', ')]);
  return [mixedDrivers(ID, [...nodesOf.keys()].sort()), formatTable([['Provider', 'Node IDs'], ...rows])].join('\n');
}

/** Said where one id stands for several drivers. */
export function mixedDrivers(id: string, providers: readonly string[]): string {
  return [
    `Warning: different drivers run as plugin ${JSON.stringify(id)} (${providers.join(', ')}), and a volume of one cannot be used by`,
    'the others. Give each an id of its own (csi_plugin { id }).',
  ].join('\n');
}

function capabilities(plugin: CsiPlugin): string[] {
  const said = (info: object | null | undefined): string[] =>
    Object.entries(info ?? {}).flatMap(([key, value]) => (value === true ? [`  ${words(key)}`] : []));
  const controller = said(Object.values(plugin.Controllers)[0]?.ControllerInfo);
  const node = said(Object.values(plugin.Nodes)[0]?.NodeInfo);
  return [
    ...(controller.length > 0 ? [`Controller Capabilities\n${controller.join('\n')}`] : []),
    ...(node.length > 0 ? [`Node Capabilities\n${node.join('\n')}`] : []),
  ];
}

/** SupportsListVolumesAttachedNodes → list volumes attached nodes. */
function words(key: string): string {
  return key
    .replace(/^(Supports|Requires)/, '')
    .replace(/(?!^)([A-Z])/g, ' $1')
    .toLowerCase();
}
