import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { join } from 'node:path';
import type { CertificateChain } from '../../lib/structs/mesh.js';
import { systemClock } from '../../lib/transport/clock.js';
import { FRAME_VERSIONS } from '../../lib/transport/frame.js';
import { ensureIdentity } from '../../lib/transport/identity.js';
import { type Greeted, shakeHands } from '../../lib/transport/mesh/handshake.js';
import type { Hello, LinkKind } from '../../lib/transport/mesh/hello.js';
import { openMeshHome } from '../../lib/transport/mesh-home.js';
import type { ConnectAs, Connection } from '../../lib/transport/network.js';
import { createRoster, type MemberRoster } from '../../lib/transport/roster.js';
import type { Address } from '../../lib/transport/tcp.js';
import { silentLog } from '../../lib/util/log.js';

/** What somebody has who copied the disk of a member. */
export interface StolenDisk {
  readonly identity: ConnectAs;
  readonly roster: MemberRoster;
}

/** Reads the key and the certificates of a member from its data directory. */
export function stealFrom(dataDir: string): StolenDisk {
  const { publicKey, seed } = ensureIdentity(dataDir);
  const home = openMeshHome(join(dataDir, 'mesh'));
  const roster = createRoster({ home, key: publicKey, now: () => Date.now(), log: silentLog });
  return { identity: { publicKey, seed: Buffer.from(seed) }, roster };
}

/** Says hello as an agent does, with whatever certificates; rejects with the reason why there is no link. */
export function greetAs(
  { roster }: StolenDisk,
  connection: Connection,
  { chain = roster.own().chain, link = 'control' }: { chain?: CertificateChain; link?: LinkKind } = {},
): Promise<Greeted> {
  return shakeHands({
    connection,
    clock: systemClock,
    timeoutMs: 20_000,
    hello: helloOf(chain, link),
    check: ({ chain: theirs }) => {
      const judged = roster.verify(connection.remoteKey, theirs);
      return judged.ok ? { ok: true, value: judged.value.claims } : { ok: false, error: judged.error.message };
    },
  });
}

/** A hello as a program of this version says it. */
export function helloOf(chain: CertificateChain, link: LinkKind = 'control'): Hello {
  return {
    versions: FRAME_VERSIONS,
    link,
    chain,
    instance: randomBytes(16).toString('hex'),
    program: 'attacker',
    now: Date.now(),
    addresses: [],
    relays: false,
  };
}

/** Somebody on the way, who passes datagrams on and keeps a copy of what is sent to `to`. */
export interface Tap {
  readonly address: Address;
  readonly heard: readonly Buffer[];
  close(): void;
}

/** Listens in between: who dials its address speaks with `to`. */
export async function openTap(to: Address): Promise<Tap> {
  const heard: Buffer[] = [];
  const front = await bound();
  const backs = new Map<string, Promise<Socket>>();
  front.on('message', async (bytes, from) => {
    heard.push(bytes);
    const name = `${from.address}:${from.port}`;
    const known = backs.get(name) ?? openBack(front, from);
    backs.set(name, known);
    (await known).send(bytes, to.port, to.host);
  });
  return {
    address: { host: '127.0.0.1', port: front.address().port },
    heard,
    close() {
      front.close();
      for (const back of backs.values()) void back.then((socket) => socket.close());
    },
  };
}

async function openBack(front: Socket, { address, port }: { address: string; port: number }): Promise<Socket> {
  const back = await bound();
  back.on('message', (bytes) => front.send(bytes, port, address));
  return back;
}

/** Sends datagrams as fast as they are taken, from a port of its own. */
export async function shower(to: Address, datagrams: Iterable<Uint8Array>): Promise<number> {
  const socket = await bound();
  let sent = 0;
  try {
    for (const bytes of datagrams) {
      await new Promise<void>((resolve) => socket.send(bytes, to.port, to.host, () => resolve()));
      sent++;
    }
  } finally {
    socket.close();
  }
  return sent;
}

async function bound(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}
