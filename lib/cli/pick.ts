import type { Allocation } from '../structs/allocation.js';
import type { AllocListStub } from '../structs/rpc.js';
import { type ApiClient, ApiError } from './api.js';
import { findJobId } from './resolve.js';

/** An allocation of the job, a running one if there is any; which one is left to chance. */
export async function randomAllocation(api: ApiClient, job: string, group?: string): Promise<Allocation> {
  const id = await findJobId(api, job);
  const { value } = await api.get<AllocListStub[] | null>(`/v1/job/${encodeURIComponent(id)}/allocations`);
  const allocs = (value ?? []).filter((alloc) => group === undefined || alloc.TaskGroup === group);
  const running = allocs.filter((alloc) => alloc.ClientStatus === 'running');
  const choice = running.length > 0 ? running : allocs;
  const alloc = choice[Math.floor(Math.random() * choice.length)];
  if (!alloc)
    throw new ApiError(
      404,
      `job ${JSON.stringify(id)} has no allocations${group === undefined ? '' : ` in group ${JSON.stringify(group)}`}`,
    );
  return (await api.get<Allocation>(`/v1/allocation/${alloc.ID}`)).value;
}
