import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { MeshError } from '../structs/errors.js';
import { type Random, randomUuid } from '../util/random.js';

/** Who this node is, and the secret that proves it to the servers. */
export interface NodeIdentity {
  nodeId: string;
  secretId: string;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Reads the identity from `stateDir`, or makes it there once and for all; without a directory it lives as long as the process.
 * A node that has none yet gets the id that is offered, which derives from the agent's key.
 */
export async function ensureIdentity(
  stateDir: string | null,
  random: Random,
  offered?: string | undefined,
): Promise<NodeIdentity> {
  const fresh = (): string => randomUuid(random);
  const newId = (): string => offered ?? fresh();
  if (stateDir === null) return { nodeId: newId(), secretId: fresh() };
  try {
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    return {
      nodeId: await ensureFile(join(stateDir, 'client-id'), newId),
      secretId: await ensureFile(join(stateDir, 'secret-id'), fresh),
    };
  } catch (cause) {
    if (cause instanceof MeshError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MeshError('E_STORAGE', `the client cannot keep its identity in ${stateDir}: ${why}`, { cause });
  }
}

async function ensureFile(path: string, make: () => string): Promise<string> {
  try {
    const value = (await readFile(path, 'utf8')).trim();
    if (UUID.test(value)) return value;
    throw new MeshError('E_STORAGE', `${path} does not hold an id: restore it, or remove it to become a new node`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const value = make();
  const file = await open(`${path}.tmp`, 'w', 0o600);
  try {
    await file.writeFile(`${value}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.tmp`, path);
  return value;
}
