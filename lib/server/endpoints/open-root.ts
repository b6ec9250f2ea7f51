import type { StateSnapshot } from '../../state/store.js';
import { MeshError } from '../../structs/errors.js';
import { unsealRoot } from '../../transport/root-key.js';
import type { SigningKey } from '../../transport/signature.js';
import { requireFounded } from './mesh.js';

/** The private half of the mesh's root, by the recovery code. Throws E_BAD_REQUEST without a code, and what unsealRoot says. */
export function openRoot(state: StateSnapshot, code: unknown): SigningKey {
  const mesh = requireFounded(state);
  if (typeof code !== 'string' || code === '') throw new MeshError('E_BAD_REQUEST', 'missing recovery code');
  const opened = unsealRoot(mesh.SealedRoot, code);
  if (!opened.ok) throw opened.error;
  if (opened.value.publicKey === mesh.Root) return opened.value;
  throw new MeshError('E_STORAGE', 'the sealed root key is the one of another mesh');
}
