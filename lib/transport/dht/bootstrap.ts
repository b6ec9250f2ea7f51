import { isIPv4 } from 'node:net';
import { MeshError } from '../../structs/errors.js';
import { localHosts } from './addresses.js';
import { createNode, type DhtNode } from './node.js';

// A DHT of one's own, for those who do not want to meet in the public one.

/** Fewer than four that answer cannot tell members what kind of NAT they are behind; a port each is enough for that. */
export const BOOTSTRAP_NODES = 4;

/** The nodes of a DHT that others enter by. */
export interface Bootstrap {
  /** The address that others put into their configuration. */
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Runs the first nodes of a DHT on `port` and the ports behind it. `host`: the IPv4 address others reach this machine by; default its
 * own, when it has one only. Rejects with E_BAD_REQUEST or, when a port is taken, E_CONFLICT.
 */
export async function serveBootstrap(options: { host: string | undefined; port: number }): Promise<Bootstrap> {
  const { port } = options;
  const host = options.host ?? onlyHost();
  if (!isIPv4(host) || host === '0.0.0.0')
    throw new MeshError('E_BAD_REQUEST', `${host} is no IPv4 address that others could reach this machine by`);
  if (port < 1 || port + BOOTSTRAP_NODES - 1 > 65_535)
    throw new MeshError('E_BAD_REQUEST', `from port ${port} on there are no ${BOOTSTRAP_NODES} UDP ports`);
  const nodes: DhtNode[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.destroy({ force: true })));
  };
  try {
    for (let i = 0; i < BOOTSTRAP_NODES; i++) {
      const bootstrap = i === 0 ? [] : [{ host, port }];
      // Bound everywhere: behind a one-to-one NAT the public address is none of this machine.
      nodes.push(await createNode({ bootstrap, port: port + i, publicHost: host, serves: true }));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { host, port, close };
}

function onlyHost(): string {
  const hosts = localHosts().map(({ host }) => host);
  const [only] = hosts;
  if (only !== undefined && hosts.length === 1) return only;
  throw new MeshError(
    'E_BAD_REQUEST',
    `say with -host by which address others reach this machine${hosts.length > 0 ? `: it has ${hosts.join(', ')}` : ''}`,
  );
}
