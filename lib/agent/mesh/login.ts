import { MeshError } from '../../structs/errors.js';
import { type Address, parseAddress } from '../../transport/tcp.js';
import { err, ok, type Result } from '../../util/result.js';
import { joinHere, type MeshStep } from './enter.js';
import { profileNetwork } from './operator.js';

export interface LoginOptions {
  /** Where the person's key is to lie. */
  profile: string;
  invite: string;
  name: string;
  nameChosen: boolean;
  /** Nodes of a DHT of one's own; "none" = the local network only; empty = the public one. */
  bootstrap: readonly string[];
  version: string;
  onStep: (step: MeshStep) => void;
}

/** Has a person's key admitted; the error is for the user. */
export async function loginOperator(options: LoginOptions): Promise<Result<void, string>> {
  const { profile, bootstrap } = options;
  const nodes = bootstrap.filter((text) => text !== 'none').map((text) => parseAddress(text, 49_737));
  if (nodes.includes(undefined)) return err(`-bootstrap: ${JSON.stringify(bootstrap.join())} is no address: host:port`);
  const said = bootstrap.length > 0;
  const network = profileNetwork(profile);
  try {
    await joinHere({
      ...options,
      dataDir: profile,
      mesh: said ? { ...network, bootstrap: nodes as Address[] } : network,
      bootstrapSaid: said,
      roles: ['operator'],
    });
    return ok(undefined);
  } catch (error) {
    if (error instanceof MeshError) return err(error.message);
    throw error;
  }
}
