import type { TaskGroup } from '../job.js';
import type { VolumeMount, VolumeRequest } from '../volume.js';
import type { Report } from './issue.js';

const HOST_ACCESS_MODES = [
  '',
  'single-node-reader-only',
  'single-node-writer',
  'single-node-single-writer',
  'single-node-multi-writer',
];
const PROPAGATION_MODES = ['private', 'host-to-task', 'bidirectional'];

export function validateVolumes(group: TaskGroup, report: Report): void {
  for (const [name, volume] of Object.entries(group.Volumes ?? {})) {
    validateVolume(volume, report.at('Volumes').at(name, `Volume ${name}: `));
  }
}

function validateVolume(volume: VolumeRequest, report: Report): void {
  const { Type, Source, AccessMode, ReadOnly, MountOptions } = volume;
  if (Type !== 'host' && Type !== 'csi') {
    report.error('Type', `unknown type ${JSON.stringify(Type)}; it must be "host" or "csi"`);
    return;
  }
  if (Source === '') report.error('Source', 'the source is missing');
  if (Type === 'csi') return;
  if (MountOptions) report.error('MountOptions', 'mount_options are for csi volumes only');
  if (!HOST_ACCESS_MODES.includes(AccessMode)) {
    report.error('AccessMode', `a host volume has no access_mode ${JSON.stringify(AccessMode)}`);
  }
  if (AccessMode === 'single-node-reader-only' && !ReadOnly) {
    report.error('ReadOnly', `access_mode ${JSON.stringify(AccessMode)} goes with read_only = true`);
  }
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
