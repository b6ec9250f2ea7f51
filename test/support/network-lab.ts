import { fileURLToPath } from 'node:url';
import type { LinkPath } from '../../lib/structs/mesh.js';
import type { DialOptions, NatReport } from '../../lib/transport/network.js';
import type { Address } from '../../lib/transport/tcp.js';
import { LabChild, type LabEvent } from './lab-child.js';
import { type LabOptions, Netlab } from './netlab.js';

const PEER = fileURLToPath(new URL('../integration/network-peer.js', import.meta.url));
const PORT = 49_737;
/** Public addresses of the DHT's nodes, and of the member that relays. */
const DHT_HOSTS = [1, 2, 3, 4, 5];
const RELAY_HOST = 9;

export interface PeerEvent extends LabEvent {
  path?: LinkPath;
  error?: string;
  key?: string;
  addresses?: Address[];
  source?: string;
}

/** What a dial up to the answered hello gave. */
export interface Greeting {
  ms: number;
  dials: number;
  path: LinkPath;
}

/** A process with one network over the DHT, somewhere in a lab. */
export class LabPeer extends LabChild<PeerEvent> {
  async ready(): Promise<string> {
    const { key = '' } = await this.event('ready');
    return key;
  }

  /** `relays`: named to those who dial. */
  listen(relays: readonly string[] = []): Promise<void> {
    return this.ask({ do: 'listen', relays });
  }

  dial(key: string, dial: DialOptions = {}): Promise<Greeting> {
    return this.ask({ do: 'dial', key, dial });
  }

  /** Keeps a connection up from now on: see the events `up`, `down`, `failed`. */
  keep(key: string, dial: DialOptions = {}): Promise<void> {
    return this.ask({ do: 'keep', key, dial });
  }

  discover(topic: string): Promise<void> {
    return this.ask({ do: 'discover', topic });
  }

  report(): Promise<NatReport> {
    return this.ask({ do: 'report' });
  }

  relay(): Promise<void> {
    return this.ask({ do: 'relay' });
  }
}

/** A lab with a DHT of its own in the public network. */
export interface NetworkLab {
  readonly lab: Netlab;
  readonly bootstrap: readonly Address[];
  peer(host: string, options?: { mdns?: boolean; bootstrap?: readonly Address[] }): Promise<LabPeer & { key: string }>;
  close(): Promise<void>;
}

/** `dht`: five nodes on five public addresses, and a member at 5.5.5.9 that relays. */
export async function openNetworkLab(options: LabOptions & { dht: boolean }): Promise<NetworkLab & { relay: string }> {
  const lab = await Netlab.open(options);
  const addresses = DHT_HOSTS.map((number) => ({ host: Netlab.publicAddress(number), port: PORT }));
  const bootstrap = addresses.slice(0, 2);
  const begin = (host: string, start: object): LabPeer =>
    new LabPeer(lab.spawn(host, process.execPath, ['--enable-source-maps', PEER, JSON.stringify(start)]));
  const network: NetworkLab = {
    lab,
    bootstrap,
    async peer(host, { mdns = false, bootstrap: own = options.dht ? bootstrap : [] } = {}) {
      const peer = begin(host, { bootstrap: own, mdns });
      return Object.assign(peer, { key: await peer.ready() });
    },
    close: () => lab.close(),
  };
  if (!options.dht) return { ...network, relay: '' };
  try {
    await begin('pub', { bootstrap: [], serve: addresses.slice(0, 1) }).ready();
    await begin('pub', { bootstrap: addresses.slice(0, 1), serve: addresses.slice(1) }).ready();
    const relay = begin('pub', { bootstrap, host: Netlab.publicAddress(RELAY_HOST) });
    const key = await relay.ready();
    await relay.listen();
    await relay.relay();
    return { ...network, relay: key };
  } catch (error) {
    await lab.close();
    throw error;
  }
}
