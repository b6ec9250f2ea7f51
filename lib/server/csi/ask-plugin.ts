import type { CsiVolumeSpec } from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';
import { withoutSecrets } from './view.js';

/** Asks a plugin something about a volume or snapshot; what it answers says which one it was about, and no secret. */
export async function askPlugin<T>(
  { ID, Secrets, kind = 'volume' }: Pick<CsiVolumeSpec, 'ID' | 'Secrets'> & { kind?: 'volume' | 'snapshot' },
  ask: () => Promise<T>,
): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof MeshError)) throw error;
    throw new MeshError(error.code, `${kind} "${ID}": ${withoutSecrets(error.message, Secrets)}`, { cause: error });
  }
}
