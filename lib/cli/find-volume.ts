import type { CsiVolumeListStub } from '../structs/csi.js';
import type { HostVolumeListStub } from '../structs/host-volume.js';
import { type ApiClient, ApiError } from './api.js';

/** The one volume that an id, or its beginning, names; a host volume by its name too. */
export async function findVolume(
  api: ApiClient,
  { type, id }: { type: string; id: string },
): Promise<{ type: 'csi' | 'host'; id: string }> {
  const found: { type: 'csi' | 'host'; id: string; name: string }[] = [];
  if (type !== 'host') {
    const { value } = await api.get<CsiVolumeListStub[]>('/v1/volumes', { type: 'csi', prefix: id });
    found.push(...value.map(({ ID, Name }) => ({ type: 'csi' as const, id: ID, name: Name })));
  }
  if (type !== 'csi') {
    const { value } = await api.get<HostVolumeListStub[]>('/v1/volumes', { type: 'host' });
    const matching = value.filter(({ ID, Name }) => ID.startsWith(id) || Name === id);
    found.push(...matching.map(({ ID, Name }) => ({ type: 'host' as const, id: ID, name: Name })));
  }
  const exact = found.filter((one) => one.id === id);
  const best = exact.length > 0 ? exact : found;
  const [first, second] = best;
  if (!first) throw new ApiError(404, `No volumes with prefix or ID ${JSON.stringify(id)} found`);
  if (!second) return first;
  const names = best.map((one) => `  ${one.id} (${one.type}, ${one.name})`).join('\n');
  throw new ApiError(0, `Prefix ${JSON.stringify(id)} matched multiple volumes\n\n${names}`);
}
