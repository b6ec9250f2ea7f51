import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MeshError } from '../../structs/errors.js';
import type { Address } from '../../transport/tcp.js';

/** How the network was when this machine joined: holds until its configuration says otherwise. */
export interface KeptNetwork {
  /** Null: the public DHT. */
  readonly bootstrap: readonly Address[] | null;
  /** Where servers were. */
  readonly hints: readonly Address[];
}

const NAME = 'network.json';

/** What was kept in the folder of the mesh; undefined when nothing was, or nothing that can be read: it is a help, no more. */
export function readKeptNetwork(folder: string): KeptNetwork | undefined {
  try {
    const { bootstrap, hints } = JSON.parse(readFileSync(join(folder, NAME), 'utf8')) as KeptNetwork;
    if (!Array.isArray(hints) || !(bootstrap === null || Array.isArray(bootstrap))) return undefined;
    return { bootstrap, hints };
  } catch {
    return undefined;
  }
}

/** Throws E_STORAGE. */
export function keepNetwork(folder: string, network: KeptNetwork): void {
  const path = join(folder, NAME);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(`${path}.new`, `${JSON.stringify(network)}\n`, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (error) {
    throw new MeshError('E_STORAGE', `cannot write ${path}: ${(error as Error).message}`, { cause: error });
  }
}
