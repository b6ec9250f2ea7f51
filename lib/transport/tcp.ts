import { hkdfSync } from 'node:crypto';
import { type AddressInfo, isIP } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { MeshError } from '../structs/errors.js';
import { createLink, type Link, type LinkOptions } from './link.js';

// Links over plain TCP, for labs and migrations: TLS with a key made from a secret that both sides have in their
// configuration, and no certificates. Who lacks the secret gets no stream. Forward secrecy comes from the ECDHE suites,
// which exist with a pre-shared key only up to TLS 1.2 (RFC 5489, RFC 7905).
const TLS = {
  ciphers: 'ECDHE-PSK-CHACHA20-POLY1305:ECDHE-PSK-AES256-CBC-SHA384',
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
} as const;
const IDENTITY = 'meshnomad/1';
const DIAL_TIMEOUT_MS = 5_000;

export interface Address {
  host: string;
  port: number;
}

/** Reads `host:port`, `[v6]:port` or a bare host, which gets the default port. */
export function parseAddress(text: string, defaultPort: number): Address | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text.trim());
  if (!match) return isIP(text) === 6 ? { host: text, port: defaultPort } : undefined;
  const port = match[3] === undefined ? defaultPort : Number(match[3]);
  return port > 65_535 ? undefined : { host: match[1] ?? match[2] ?? '', port };
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}

/** A key for everybody would be a key for nobody: without a secret only this very machine may be spoken to. */
function keyFor(secret: string, host: string): Buffer {
  if (secret === '' && !isLoopback(host)) {
    throw new MeshError(
      'E_PERMISSION_DENIED',
      `plain addresses beyond this machine (${host}) need a secret that both sides have: set mesh { secret_file = … }`,
    );
  }
  return Buffer.from(hkdfSync('sha256', secret, IDENTITY, 'link key', 32));
}

export interface Listener {
  readonly port: number;
  close(): Promise<void>;
}

/** Takes links on an address. `accept` gives what a new link may ask, and hears of it once it stands. */
export async function listenLinks(
  options: Address & { secret: string; accept: () => { options: LinkOptions; opened: (link: Link) => void } },
): Promise<Listener> {
  const key = keyFor(options.secret, options.host);
  const links = new Set<Link>();
  const server = createServer(
    { ...TLS, pskCallback: (_, identity) => (identity === IDENTITY ? key : null) },
    (socket) => {
      socket.setNoDelay(true);
      const { options: served, opened } = options.accept();
      const link = createLink(socket, {
        ...served,
        dialled: false,
        onClose: (reason) => {
          links.delete(link);
          served.onClose?.(reason);
        },
      });
      links.add(link);
      opened(link);
    },
  );
  // A stranger, a port scan: its socket is destroyed, and that is all.
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const what =
        error.code === 'EADDRINUSE'
          ? 'is in use: choose another with ports { rpc = … }'
          : `cannot be listened on: ${error.message}`;
      reject(new Error(`RPC port ${options.port} of ${options.host} ${what}`, { cause: error }));
    });
    server.listen(options.port, options.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const link of links) link.close('the agent shuts down');
      }),
  };
}

/** Opens a link to an address; rejects with MeshError E_TIMEOUT that says what stood in the way. */
export function dialLink(options: Address & { secret: string; link: LinkOptions }): Promise<Link> {
  const { host, port } = options;
  const failed = (why: string): MeshError => new MeshError('E_TIMEOUT', `${host}:${port} cannot be reached: ${why}`);
  return new Promise((resolve, reject) => {
    const key = keyFor(options.secret, host);
    const socket: TLSSocket = connect({
      ...TLS,
      host,
      port,
      pskCallback: () => ({ psk: key, identity: IDENTITY }),
      // There is no certificate to check: the secret is the proof, of either side to the other.
      checkServerIdentity: () => undefined,
    });
    const timer = setTimeout(
      () => socket.destroy(new Error(`no answer within ${DIAL_TIMEOUT_MS / 1000} s`)),
      DIAL_TIMEOUT_MS,
    );
    socket.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      const ssl = error.code?.startsWith('ERR_SSL') || error.code === 'ECONNRESET';
      reject(failed(ssl ? 'it has another secret, or is no meshnomad agent' : error.message));
    });
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      socket.setNoDelay(true);
      resolve(createLink(socket, { ...options.link, dialled: true }));
    });
  });
}
