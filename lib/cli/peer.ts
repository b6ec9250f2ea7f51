import { type FlagSpec, type Flags, UsageError } from './command.js';

/** How a server of the group is named, with Nomad's two flags. */
export const PEER_FLAGS: Record<string, FlagSpec> = {
  'peer-id': { type: 'string', value: 'id', help: 'The id of the server (its beginning will do), or its name.' },
  'peer-address': { type: 'string', value: 'addr', help: 'Or its address, as host:port.' },
};

/** Neither given: no key. */
export function peerQuery(flags: Flags): { id?: string; address?: string } {
  const [id, address] = [flags.string('peer-id'), flags.string('peer-address')];
  if (id !== undefined && address !== undefined) throw new UsageError('-peer-id and -peer-address exclude each other');
  return { ...(id === undefined ? {} : { id }), ...(address === undefined ? {} : { address }) };
}
