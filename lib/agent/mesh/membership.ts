import { join } from 'node:path';
import type { MeshRole } from '../../structs/mesh.js';
import { ensureIdentity } from '../../transport/identity.js';
import { openMeshHome } from '../../transport/mesh-home.js';
import { createRoster, isMember } from '../../transport/roster.js';
import { silentLog } from '../../util/log.js';

/** Who this machine is in its mesh; undefined when it is in none. Throws E_STORAGE when what is on the disk cannot be read. */
export function membershipIn(dataDir: string): { mesh: string; name: string; role: MeshRole } | undefined {
  const home = openMeshHome(join(dataDir, 'mesh'));
  if (!isMember(home)) return undefined;
  const { publicKey: key } = ensureIdentity(dataDir);
  const roster = createRoster({ home, key, now: () => Date.now(), log: silentLog });
  const { Name, Role } = roster.own().claims;
  return { mesh: roster.info().Name, name: Name, role: Role };
}
