import type { Resources } from '../resources.js';
import { validateDeviceAsk } from './constraint.js';
import type { Report } from './issue.js';

const MEMORY_MIN_MB = 10;
const MEMORY_UNLIMITED = -1;

export function validateResources(resources: Resources, report: Report): void {
  const { CPU, Cores, MemoryMB, MemoryMaxMB } = resources;
  if (Cores > 0 && CPU > 0) {
    report.error('Cores', 'Ask either for `cpu` or for `cores`');
  }
  if (Cores < 0) report.error('Cores', `cores must not be negative (${Cores})`);
  if (Cores === 0 && CPU < 1) report.error('CPU', `cpu must be at least 1 MHz, not ${CPU}`);
  if (MemoryMB < MEMORY_MIN_MB)
    report.error('MemoryMB', `memory must be at least ${MEMORY_MIN_MB} MB, not ${MemoryMB}`);
  if (MemoryMaxMB !== 0 && MemoryMaxMB !== MEMORY_UNLIMITED && MemoryMaxMB < MemoryMB) {
    report.error('MemoryMaxMB', `memory_max (${MemoryMaxMB} MB) is less than memory (${MemoryMB} MB)`);
  }
  validateDevices(resources, report);
  if (resources.SecretsMB < 0) report.error('SecretsMB', `secrets must not be negative (${resources.SecretsMB})`);
  if (resources.IOPS > 0) report.warning('IOPS', 'iops has no effect: please remove it from the resources block');
}

const NUMA_AFFINITIES = ['none', 'prefer', 'require'];

function validateDevices({ Devices, NUMA, CPU, Cores }: Resources, report: Report): void {
  for (const [i, { Name, Count, Share, MemoryMB, Constraints, Affinities }] of (Devices ?? []).entries()) {
    const at = report.at('Devices').at(i);
    if (!/^[^/]+(\/[^/]+){0,2}$/.test(Name)) {
      at.error('Name', `Device ${JSON.stringify(Name)} must be named type, vendor/type or vendor/type/model`);
    }
    if (Share !== undefined && (!Number.isInteger(Share) || Share < 1 || Share > 100)) {
      at.error('Share', `Device ${JSON.stringify(Name)}: share is percent of a device, 1 to 100, not ${Share}`);
    }
    if (MemoryMB !== undefined && (!Number.isInteger(MemoryMB) || MemoryMB < 1)) {
      at.error(
        'MemoryMB',
        `Device ${JSON.stringify(Name)}: memory must be at least 1 MiB of a device, not ${MemoryMB}`,
      );
    }
    validateDeviceAsk({ Constraints, Affinities }, report.at('Devices').at(i, `Device ${JSON.stringify(Name)}: `));
    if (Count < 1) at.error('Count', `Device ${JSON.stringify(Name)}: count must be at least 1, not ${Count}`);
  }
  if (!NUMA) return;
  if (!NUMA_AFFINITIES.includes(NUMA.Affinity)) {
    report.error(
      'NUMA.Affinity',
      `numa: unknown affinity ${JSON.stringify(NUMA.Affinity)}; known are ${NUMA_AFFINITIES.join(', ')}`,
    );
  }
  if (NUMA.Affinity !== 'none' && Cores === 0 && CPU > 0) report.error('NUMA', 'numa goes with cores, not with cpu');
  const unknown = (NUMA.Devices ?? []).filter((name) => !Devices?.some((device) => device.Name === name));
  if (unknown.length > 0) report.error('NUMA.Devices', `numa: the task has no device ${unknown.join(', ')}`);
}
