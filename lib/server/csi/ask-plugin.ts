import type { CsiVolumeSpec } from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';
import { withoutSecrets } from './view.js';

/** Asks a plugin something about a volume; what it answers says which volume it was about, and no secret. */
export async function askPlugin<T>(volume: Pick<CsiVolumeSpec, 'ID' | 'Secrets'>, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof MeshError)) throw error;
    throw new MeshError(error.code, `volume "${volume.ID}": ${withoutSecrets(error.message, volume.Secrets)}`, {
      cause: error,
    });
  }
}
