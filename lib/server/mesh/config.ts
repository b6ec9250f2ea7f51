import { MeshError } from '../../structs/errors.js';
import type { NodeKey } from '../../structs/mesh.js';
import type { MeshMemberStub } from '../../structs/rpc-mesh.js';
import type { MeshHome } from '../../transport/mesh-home.js';
import type { MemberRoster } from '../../transport/roster.js';
import type { SigningKey } from '../../transport/signature.js';
import type { Address } from '../../transport/tcp.js';
import type { ServerConfig } from '../world.js';

/** What a server knows of the mesh it is in, besides the state. */
export interface ServerMesh {
  /** Signs certificates and tombstones. */
  readonly identity: SigningKey;
  readonly home: MeshHome;
  readonly roster: MemberRoster;
  /** Where others may reach this server: hints for invites, the best first. */
  addresses(): readonly Address[];
  /** The DHT that its members meet in: invites name it when it is the mesh's own. */
  readonly bootstrap: 'public' | readonly Address[];
  /** How this server sees a member now. */
  view(key: NodeKey): Pick<MeshMemberStub, 'Health' | 'Link' | 'ServerState'>;
}

/** The mesh of this server, or E_NOT_SUPPORTED for one that is in none. */
export function requireMesh({ mesh }: ServerConfig): ServerMesh {
  if (mesh) return mesh;
  throw new MeshError(
    'E_NOT_SUPPORTED',
    'this agent is in no mesh: found one with "meshnomad init", or join one with "meshnomad join"',
  );
}
