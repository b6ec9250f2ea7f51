import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { MeshError } from '../../structs/errors.js';
import { byteStream } from '../../transport/byte-stream.js';
import { ensureIdentity } from '../../transport/identity.js';
import { openMeshHome } from '../../transport/mesh-home.js';
import type { Peer } from '../../transport/peers.js';
import { silentLog } from '../../util/log.js';
import type { MeshSettings } from '../settings.js';
import { readKeptNetwork } from './kept-network.js';
import { type Member, openMember } from './member.js';

/** How long a command waits for a link to any server. */
const LINK_WAIT_MS = 20_000;

/** A person's way to the API of the mesh, from wherever the command line runs. */
export interface OperatorApi {
  /** Waits until a server is linked; rejects with MeshError E_TIMEOUT that says what was tried. */
  ready(): Promise<void>;
  /** A connection to the API of a server, as bytes. */
  open(): Duplex;
  /** `via nas, direct, 14 ms`. */
  describe(): string;
  close(): Promise<void>;
}

/** The network settings of a profile: as they were when its owner logged in. */
export function profileNetwork(profile: string): MeshSettings {
  const folder = join(profile, 'mesh');
  const kept = readKeptNetwork(folder);
  return {
    folder,
    bootstrap: kept?.bootstrap ?? 'public',
    port: null,
    hints: kept?.hints ?? [],
    mdns: true,
    relay: false,
    clientApi: false,
    voter: false,
    advertise: [],
    joinKeyFile: null,
  };
}

/** Begins to link with the servers, with the key in a profile: whichever answers first is asked, as long as it is there. */
export async function openOperatorApi(options: { profile: string; version: string }): Promise<OperatorApi> {
  const { profile, version } = options;
  const member = await openMember({
    home: openMeshHome(join(profile, 'mesh')),
    identity: ensureIdentity(profile),
    settings: profileNetwork(profile),
    // Commands run side by side: none of them has a port of its own.
    keepPort: false,
    passing: true,
    served: { handlers: {}, streamHandlers: {} },
    log: silentLog,
    random: { next: Math.random },
    version,
  });
  const { peers, servers } = member;
  let current: Peer | undefined;
  let refreshed = false;
  const linked = (): Peer | undefined => {
    const here = peers.linked().filter(({ key }) => servers().includes(key));
    current = here.find(({ key }) => key === current?.key) ?? here[0];
    return current;
  };
  try {
    peers.keep(servers());
    await peers.start();
  } catch (error) {
    await member.close();
    throw error;
  }
  return {
    async ready() {
      const peer = linked() ?? (await firstServer(member));
      if (refreshed) return;
      refreshed = true;
      await refresh(member, peer);
    },
    open() {
      const peer = linked();
      const key = peer?.key ?? servers()[0];
      if (key === undefined) throw new MeshError('E_NO_LEADER', 'this profile knows no server of its mesh');
      return byteStream(peers.caller(key).stream('Mesh.Http', {}));
    },
    describe() {
      const peer = linked();
      return peer ? describePeer(peer) : 'not linked';
    },
    close: () => member.close(),
  };
}

/** `via nas, direct, 14 ms`. */
function describePeer({ claims, report }: Peer): string {
  const { Kind } = report.Path;
  const way = Kind === 'local' ? 'local network' : Kind;
  return `via ${claims.Name}, ${way}, ${report.RttMs < 10 ? report.RttMs.toFixed(1) : Math.round(report.RttMs)} ms`;
}

function firstServer(member: Member): Promise<Peer> {
  const { peers, servers, nameOf } = member;
  const keys = servers();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const names = keys.map(nameOf).join(', ');
      const problems = peers.report().Problems;
      reject(
        new MeshError(
          'E_TIMEOUT',
          `no server of the mesh "${member.roster.info().Name}" answered within ${LINK_WAIT_MS / 1000} s (tried: ${names})${problems.map((line) => `\n  ${line}`).join('')}`,
        ),
      );
    }, LINK_WAIT_MS);
    peers.onLink((peer, up) => {
      if (!up || !keys.includes(peer.key)) return;
      clearTimeout(timer);
      resolve(peer);
    });
  });
}

/** A profile that lay in a drawer: its certificate may have ended, and servers may have come. */
async function refresh({ roster, peers }: Member, { key }: Peer): Promise<void> {
  const caller = peers.caller(key);
  const { NotAfter } = roster.own().claims;
  if (NotAfter < Date.now()) {
    const { Member } = await caller.call('Mesh.Renew', { Key: peers.key }, { timeoutMs: 10_000 });
    roster.renew(Member.Chain);
  }
  // What is new counts from the next command on: this one need not wait for it.
  caller.call('Mesh.Roster', { Key: peers.key, AllowStale: true }, { timeoutMs: 10_000 }).then(
    (reply) => roster.update(reply),
    () => {},
  );
}
