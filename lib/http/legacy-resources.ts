import type { Allocation } from '../structs/allocation.js';
import type { AllocatedTaskResources, NetworkResource, Resources } from '../structs/resources.js';

type LegacyResources = Pick<Resources, 'CPU' | 'Cores' | 'MemoryMB' | 'MemoryMaxMB' | 'DiskMB' | 'IOPS' | 'Networks'>;

/**
 * An allocation as the API gives it: with the three blocks in which Nomad told resources before `AllocatedResources`. Nomad's
 * servers still fill them in, and its command line reads them without asking whether they are there.
 */
export function withLegacyResources(alloc: Allocation): object {
  const { Tasks, Shared } = alloc.AllocatedResources;
  const tasks = Object.entries(Tasks).map(([name, task]) => [name, taskResources(task)] as const);
  const sum = (key: 'CPU' | 'Cores' | 'MemoryMB' | 'MemoryMaxMB'): number =>
    tasks.reduce((total, [, task]) => total + task[key], 0);
  const networks = Shared.Networks ?? tasks.flatMap(([, { Networks }]) => Networks ?? []);
  return {
    ...alloc,
    Resources: {
      CPU: sum('CPU'),
      Cores: sum('Cores'),
      MemoryMB: sum('MemoryMB'),
      MemoryMaxMB: sum('MemoryMaxMB'),
      DiskMB: Shared.DiskMB,
      IOPS: 0,
      Networks: networks.length > 0 ? networks : null,
    } satisfies LegacyResources,
    SharedResources: { ...resources(Shared.Networks), DiskMB: Shared.DiskMB },
    TaskResources: Object.fromEntries(tasks),
  };
}

function taskResources({ Cpu, Memory, Networks }: AllocatedTaskResources): LegacyResources {
  return {
    ...resources(Networks),
    CPU: Cpu.CpuShares,
    Cores: Cpu.ReservedCores?.length ?? 0,
    MemoryMB: Memory.MemoryMB,
    MemoryMaxMB: Memory.MemoryMaxMB,
  };
}

function resources(networks: NetworkResource[] | null): LegacyResources {
  return { CPU: 0, Cores: 0, MemoryMB: 0, MemoryMaxMB: 0, DiskMB: 0, IOPS: 0, Networks: networks };
}
