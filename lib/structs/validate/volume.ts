import { CSI_ACCESS_MODES, CSI_ATTACHMENT_MODES } from '../csi.js';
import { isExclusive } from '../csi-access.js';
import type { Job, TaskGroup } from '../job.js';
import { HOST_ACCESS_MODES, type VolumeMount, type VolumeRequest } from '../volume.js';
import type { Report } from './issue.js';

const PROPAGATION_MODES = ['', 'private', 'host-to-task', 'bidirectional'];

const isOneOf = (modes: readonly string[], mode: string): boolean => modes.includes(mode);

export function validateVolumes(group: TaskGroup, job: Job, report: Report): void {
  for (const [name, volume] of Object.entries(group.Volumes ?? {})) {
    const at = report.at('Volumes').at(name, `Volume ${name}: `);
    validateVolume(volume, at);
    validatePerAlloc(volume, group, job, at);
    validateCanary(volume, group, at);
  }
}

function validateVolume(volume: VolumeRequest, report: Report): void {
  const { Type, Source, AccessMode, ReadOnly, MountOptions } = volume;
  if (Type !== 'host' && Type !== 'csi') {
    report.error('Type', `unknown type ${JSON.stringify(Type)}; it must be "host" or "csi"`);
    return;
  }
  if (Source === '') report.error('Source', 'the source is missing');
  if (volume.Sticky && Type === 'csi') report.error('Sticky', 'sticky is for host volumes only');
  if (Type === 'csi') {
    validateCsi(volume, report);
    return;
  }
  if (MountOptions) report.error('MountOptions', 'mount_options are for csi volumes only');
  if (AccessMode !== '' && !isOneOf(HOST_ACCESS_MODES, AccessMode)) {
    report.error('AccessMode', `a host volume has no access_mode ${JSON.stringify(AccessMode)}`);
  }
  if (AccessMode === 'single-node-reader-only' && !ReadOnly) {
    report.error('ReadOnly', `access_mode ${JSON.stringify(AccessMode)} goes with read_only = true`);
  }
}

function validateCsi({ AccessMode, AttachmentMode, ReadOnly }: VolumeRequest, report: Report): void {
  if (!isOneOf(CSI_ACCESS_MODES, AccessMode)) {
    report.error('AccessMode', `a csi volume needs an access_mode: ${CSI_ACCESS_MODES.join(', ')}`);
  }
  if (!isOneOf(CSI_ATTACHMENT_MODES, AttachmentMode)) {
    report.error('AttachmentMode', `a csi volume needs an attachment_mode: ${CSI_ATTACHMENT_MODES.join(' or ')}`);
  }
  if (AccessMode.endsWith('-reader-only') && !ReadOnly) {
    report.error('ReadOnly', `access_mode ${JSON.stringify(AccessMode)} goes with read_only = true`);
  }
}

/** A canary runs beside what it is to replace, which would hold the volume until the canary is healthy: for ever. */
function validateCanary(volume: VolumeRequest, group: TaskGroup, report: Report): void {
  const { Type, AccessMode, ReadOnly, PerAlloc } = volume;
  if (Type !== 'csi' || PerAlloc || (group.Update?.Canary ?? 0) === 0) return;
  if (!isExclusive(AccessMode, { readOnly: ReadOnly })) return;
  report.error(
    'AccessMode',
    `access_mode ${JSON.stringify(AccessMode)} does not go with canaries: two cannot use the volume`,
  );
}

/** A volume for each allocation by its index: canaries and system jobs would share an index. */
function validatePerAlloc(volume: VolumeRequest, group: TaskGroup, job: Job, report: Report): void {
  if (!volume.PerAlloc) return;
  if ((group.Update?.Canary ?? 0) > 0) report.error('PerAlloc', 'per_alloc does not go with canaries');
  if (job.Type === 'system' || job.Type === 'sysbatch')
    report.error('PerAlloc', 'per_alloc does not go with system jobs');
  if (volume.Sticky) report.error('PerAlloc', 'per_alloc does not go with sticky');
}

export function validateMounts(mounts: VolumeMount[] | null, group: TaskGroup, report: Report): void {
  for (const [i, mount] of (mounts ?? []).entries()) {
    const at = report.at('VolumeMounts').at(i, `Volume mount ${i + 1} `);
    if (mount.Volume === '') at.error('Volume', 'names no volume');
    else if (!Object.hasOwn(group.Volumes ?? {}, mount.Volume)) {
      at.error('Volume', `names a volume that the group does not have: ${JSON.stringify(mount.Volume)}`);
    }
    if (mount.Destination === '') at.error('Destination', 'has no destination');
    if (!PROPAGATION_MODES.includes(mount.PropagationMode)) {
      at.error('PropagationMode', `has an unknown propagation_mode: ${JSON.stringify(mount.PropagationMode)}`);
    }
    if (!['', 'z', 'Z'].includes(mount.SELinuxLabel)) {
      at.error('SELinuxLabel', `has selinux_label ${JSON.stringify(mount.SELinuxLabel)}: it must be "z" or "Z"`);
    }
  }
}
