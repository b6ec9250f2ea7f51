import type { VolumeRequest } from '../structs/volume.js';

/** The volume that an allocation means: those of `per_alloc` are one per index, `data[2]`. */
export function volumeSource(request: VolumeRequest, allocName: string): string {
  return request.PerAlloc ? `${request.Source}${/\[\d+\]$/.exec(allocName)?.[0] ?? ''}` : request.Source;
}
