import type { Resources } from '../resources.js';
import type { Report } from './issue.js';

const MEMORY_MIN_MB = 10;
const MEMORY_UNLIMITED = -1;

export function validateResources(resources: Resources, report: Report): void {
  const { CPU, Cores, MemoryMB, MemoryMaxMB, DiskMB } = resources;
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
  // The disk of a task is its share of the group's (ephemeral_disk), which Nomad has refused here since 0.5.
  if (DiskMB > 0) {
    report.error('DiskMB', 'Disk space belongs to the group: ask for it in `ephemeral_disk`');
  }
}
