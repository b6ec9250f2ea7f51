import type { Allocation } from '../structs/allocation.js';
import { groupOf } from '../structs/group-of.js';
import type { ClientAllocUpdate } from '../structs/rpc.js';

/** What a name may hold that only the node of the allocation can fill in, as in `web-${NOMAD_ALLOC_INDEX}`. */
const FILLED_IN = /\$\{[^}]*\}/;

/**
 * The report on an allocation with those services alone that its job declares. So a node that was taken over cannot say of itself that
 * it is the database of another job.
 */
export function withDeclaredServices(update: ClientAllocUpdate, alloc: Allocation): ClientAllocUpdate {
  if (!update.Services) return update;
  const names = declaredNames(alloc);
  return {
    ...update,
    Services: update.Services.filter(({ ServiceName }) => names.some((name) => fits(name, ServiceName))),
  };
}

function declaredNames({ Job: job, TaskGroup }: Allocation): string[] {
  const group = groupOf(job, TaskGroup);
  if (!group) return [];
  return [group.Services, ...group.Tasks.map(({ Services }) => Services)].flatMap((list) =>
    (list ?? []).map(({ Name }) => Name),
  );
}

/** Whether a name can be what is declared: its fixed parts in their order, anything where something is filled in. */
function fits(declared: string, name: string): boolean {
  const parts = declared.split(FILLED_IN);
  const first = parts.shift() ?? '';
  const last = parts.pop();
  if (last === undefined) return name === first;
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length) return false;
  let at = first.length;
  for (const part of parts) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= name.length - last.length;
}
