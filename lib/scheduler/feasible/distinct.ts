import type { Constraint } from '../../structs/constraint.js';
import type { Job, TaskGroup } from '../../structs/job.js';
import type { Columns } from '../columns.js';
import type { Fleet } from '../fleet.js';
import type { Occupancy } from '../occupancy.js';
import { MISSING, PropertyCounts } from '../rank/property.js';

/** What the checks are made over. */
interface DistinctWorld {
  readonly fleet: Fleet;
  readonly columns: Columns;
  readonly occupancy: Occupancy;
}

/** A condition on where the job's other allocations are. */
export interface DistinctCheck {
  /** '' when a node will do, else the reason to count. */
  refusal(row: number): string;
}

/** The distinct_hosts and distinct_property constraints that bind a group: its own, its tasks' and the job's. */
export function distinctChecks(job: Job, group: TaskGroup, world: DistinctWorld): DistinctCheck[] {
  const { occupancy } = world;
  const own = [...(group.Constraints ?? []), ...group.Tasks.flatMap((task) => task.Constraints ?? [])];
  const checks: DistinctCheck[] = [];
  for (const [constraints, scope] of [
    [job.Constraints ?? [], null],
    [own, group.Name],
  ] as const) {
    for (const constraint of constraints) {
      if (constraint.Operand === 'distinct_hosts' && constraint.RTarget !== 'false') {
        checks.push({
          refusal: (row) =>
            (scope === null ? occupancy.byJob(row) : occupancy.byGroup(scope, row)) > 0 ? 'distinct_hosts' : '',
        });
      } else if (constraint.Operand === 'distinct_property') {
        checks.push(propertyCheck(constraint, scope, world));
      }
    }
  }
  return checks;
}

function propertyCheck(
  { LTarget, RTarget }: Constraint,
  scope: string | null,
  { fleet, columns, occupancy }: DistinctWorld,
): DistinctCheck {
  const allowed = /^\d+$/.test(RTarget) ? Number(RTarget) : 1;
  const counts = new PropertyCounts(fleet, columns, LTarget);
  occupancy.follow((row, group, change) => {
    if (scope === null || scope === group) counts.add(row, change);
  });
  return {
    refusal: (row) => {
      const value = counts.valueOf(row);
      if (value === MISSING) return `missing property "${LTarget}"`;
      const used = counts.count(value);
      if (used < allowed) return '';
      return `distinct_property: ${LTarget}=${counts.values[value]} used by ${used} allocs`;
    },
  };
}
