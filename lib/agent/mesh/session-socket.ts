import { join } from 'node:path';
import { MeshError } from '../../structs/errors.js';

// A way into the mesh that outlives the command which needed it: the next ones find it open. It listens on a socket in the
// profile, which only its owner can enter; a connection begins with one line:
//
//   "ask\n"   answered by one line of JSON: {Version, Via} once a server is linked, or {Error}; then it ends
//   "http\n"  from here on the bytes are a connection to the HTTP API of a server

const NAME = 'session';
/** What a socket's path may take, on all systems. */
const PATH_MAX_BYTES = 100;

/** What a session says of itself. */
export interface SessionAnswer {
  Version?: string;
  /** `via nas, direct, 14 ms`. */
  Via?: string;
  Error?: string;
}

/** Where the session of a profile listens. Throws E_NOT_SUPPORTED when that is no place for a socket. */
export function sessionPath(profile: string): string {
  const path = join(profile, 'mesh', NAME);
  if (process.platform !== 'win32' && Buffer.byteLength(path) <= PATH_MAX_BYTES) return path;
  throw new MeshError('E_NOT_SUPPORTED', `${path} can be no socket: its path is too long, or the system has none`);
}
