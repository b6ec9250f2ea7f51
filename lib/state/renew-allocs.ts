import type { Tables } from './schema.js';

/**
 * What clients have said since the snapshot is lost with its restore: how their allocations are, and whether they are healthy. As
 * newer wishes, those that were not over then are looked at by their clients, who say again what is known otherwise here. They are
 * changed in place: all others must be unable to see them yet, as those that were just decoded.
 */
export function renewAllocs({ allocs }: Tables, index: number): void {
  for (const alloc of allocs.values()) {
    const { ClientStatus } = alloc;
    if (ClientStatus !== 'pending' && ClientStatus !== 'running' && ClientStatus !== 'unknown') continue;
    alloc.ModifyIndex = index;
    alloc.AllocModifyIndex = index;
  }
}
