import type { Log } from '../../util/log.js';
import type { ConnectAs } from '../network.js';
import type { Address } from '../tcp.js';

/** What a network over the DHT is opened with. */
export interface DhtNetworkOptions {
  /** The node's own key pair: its name, and its address in the DHT. */
  readonly identity: ConnectAs;
  /**
   * Where the DHT is entered. `'public'`: the nodes that hyperdht knows; a list: your own (`meshnomad dht`); `[]`: none, so
   * members meet on the local network and by addresses only.
   */
  readonly bootstrap: 'public' | readonly Address[];
  /** UDP port, the same for ever, so that kept addresses stay true. Null: the one chosen at the first start. */
  readonly port: number | null;
  /** Where the port and the address book are kept; null: nowhere. */
  readonly folder: string | null;
  /** IPv4 address to bind; default all of them. */
  readonly host?: string;
  /** Whether to look for members on the local network by multicast. */
  readonly mdns: boolean;
  /** Further addresses under which others reach this node, for example of a forwarded port. */
  readonly advertise: readonly Address[];
  readonly log: Log;
}
