import type { SchedulerConfiguration } from '../structs/rpc.js';
import { createDuty, type Duty } from './duty.js';
import type { ServerWorld } from './world.js';

/** The agent's scheduler configuration is the mesh's until somebody has set another. */
export function createSchedulerSeed(world: ServerWorld, seed: Partial<SchedulerConfiguration>): Duty {
  return createDuty(world, {
    name: 'scheduler-config',
    next: () => {
      const present = world.store.snapshot().schedulerConfig();
      if (present.ModifyIndex > 0) return undefined;
      const PreemptionConfig = { ...present.PreemptionConfig, ...seed.PreemptionConfig };
      return { type: 'scheduler-config', config: { ...present, ...seed, PreemptionConfig }, casModifyIndex: 0 };
    },
    minds: () => false,
  });
}
