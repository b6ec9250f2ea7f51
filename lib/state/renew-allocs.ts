import type { Tables } from './schema.js';

/**
 * What clients have said since the snapshot is lost with its restore: how their allocations are, and whether they are healthy. As
 * newer wishes, those that were not over then are looked at by their clients, who say again what is known otherwise here.
 */
export function renewAllocs({ allocs }: Tables, index: number, epoch: number): void {
  const live = [...allocs.values()].filter(
    ({ ClientStatus }) => ClientStatus === 'pending' || ClientStatus === 'running' || ClientStatus === 'unknown',
  );
  allocs.putAll(
    live.map((alloc) => ({ ...alloc, ModifyIndex: index, AllocModifyIndex: index })),
    epoch,
  );
}
