import { existsSync } from 'node:fs';
import { arch, platform, release } from 'node:os';
import { join } from 'node:path';
import { MeshError } from '../../structs/errors.js';
import type { LinkPath, MeshRole } from '../../structs/mesh.js';
import { systemClock } from '../../transport/clock.js';
import { openDhtNetwork } from '../../transport/dht/index.js';
import { foundMesh, refoundMesh } from '../../transport/found.js';
import { ensureIdentity } from '../../transport/identity.js';
import { type Invite, parseInvite } from '../../transport/invite.js';
import { type Joined, joinMesh } from '../../transport/join.js';
import { createAddressBook } from '../../transport/mesh/address-book.js';
import { formatAddress } from '../../transport/mesh/hello.js';
import { type MeshHome, openMeshHome } from '../../transport/mesh-home.js';
import { saveMembership } from '../../transport/roster.js';
import { type Address, parseAddress } from '../../transport/tcp.js';
import { type Log, silentLog } from '../../util/log.js';
import type { MeshSettings } from '../settings.js';
import { keepNetwork } from './kept-network.js';
import { membershipIn } from './membership.js';

/** Addresses of servers that are kept for the day when nothing better is known. */
const HINTS_KEPT = 8;

/** What happens on the way into a mesh, for whoever watches. */
export type MeshStep =
  | { Step: 'founded'; Mesh: string; Root: string; Name: string; RecoveryCode: string }
  | { Step: 'refounded'; Mesh: string; Root: string; Name: string }
  | { Step: 'searching'; Server: string; Hints: string[] }
  /** Nobody has answered so far; `Why`: what the last attempt came to. */
  | { Step: 'waiting'; Seconds: number; Why: string }
  | { Step: 'pending'; Name: string; Words: string }
  | { Step: 'joined'; Mesh: string; Root: string; Name: string; Role: MeshRole; Path: LinkPath; Ms: number };

export interface EnterOptions {
  /** Where this machine keeps its key; the files of the mesh lie below. */
  dataDir: string;
  /** With a folder. */
  mesh: MeshSettings;
  /** Whether the configuration names the bootstrap nodes: then they are kept with the membership. */
  bootstrapSaid: boolean;
  /** A name that somebody has chosen, or the name of the host. */
  name: string;
  nameChosen: boolean;
  version: string;
  onStep: (step: MeshStep) => void;
  log?: Log;
}

/** Founds a mesh here. Throws E_CONFLICT where there is one. */
export function foundHere(options: EnterOptions & { meshName: string }): void {
  const { dataDir, name, meshName, version, onStep } = options;
  const { info, recoveryCode } = foundMesh({
    home: homeOf(options),
    identity: ensureIdentity(dataDir),
    name,
    meshName,
    facts: factsOf(version),
    nowMs: Date.now(),
  });
  if (options.bootstrapSaid) keepNetwork(folderOf(options), { bootstrap: saidBootstrap(options), hints: [] });
  onStep({ Step: 'founded', Mesh: info.Name, Root: info.Root, Name: name, RecoveryCode: recoveryCode });
}

/** Founds a mesh again whose servers were all lost, from its sealed root key. */
export function refoundHere(options: EnterOptions & { meshName: string; sealed: string; code: string }): void {
  const { dataDir, name, version, onStep } = options;
  const identity = ensureIdentity(dataDir);
  const info = refoundMesh({ ...options, home: homeOf(options), identity, facts: factsOf(version), nowMs: Date.now() });
  if (options.bootstrapSaid) keepNetwork(folderOf(options), { bootstrap: saidBootstrap(options), hints: [] });
  onStep({ Step: 'refounded', Mesh: info.Name, Root: info.Root, Name: name });
}

export interface JoinHereOptions extends EnterOptions {
  /** The invite, as text. */
  invite: string;
  /** The member that this machine was before it was installed anew. */
  replace?: string;
  /** What may come in here: machines, or people. */
  roles: readonly MeshRole[];
  signal?: AbortSignal;
}

/** Joins the mesh that an invite names, and keeps the membership. Rejects with MeshError that says what to do. */
export async function joinHere(asked: JoinHereOptions): Promise<void> {
  const began = performance.now();
  const { dataDir, onStep } = asked;
  const home = homeOf(asked);
  const already = membershipIn(dataDir);
  if (already) {
    throw new MeshError(
      'E_CONFLICT',
      `this machine is in the mesh "${already.mesh}" already, as ${already.name}: "meshnomad up" starts it, "meshnomad leave" takes it out`,
    );
  }
  const invite = parseInvite(asked.invite);
  if (!invite.ok) throw invite.error;
  refuseRole(asked, invite.value);
  const options = inItsDht(asked, invite.value);
  onStep({ Step: 'searching', Server: invite.value.server, Hints: invite.value.hints.map(formatAddress) });
  const identity = ensureIdentity(dataDir);
  const log = options.log ?? silentLog;
  const network = await openDhtNetwork({ ...options.mesh, identity, log });
  try {
    const joined = await joinMesh({
      invite: { ...invite.value, hints: [...options.mesh.hints, ...invite.value.hints] },
      network,
      identity,
      name: options.name,
      rename: !options.nameChosen,
      facts: factsOf(options.version),
      ...(options.replace === undefined ? {} : { replace: options.replace }),
      now: () => Date.now(),
      ...(options.signal ? { signal: options.signal } : {}),
      onWaiting: ({ seconds, why }) => onStep({ Step: 'waiting', Seconds: seconds, Why: why }),
      onPending: ({ name, words }) => onStep({ Step: 'pending', Name: name, Words: words }),
    });
    keep(options, home, joined, invite.value);
    const { Name, Root } = joined.membership.Mesh;
    const { Name: name, Role } = joined.member;
    const Ms = Math.round(performance.now() - began);
    onStep({ Step: 'joined', Mesh: Name, Root, Name: name, Role, Path: joined.via.path, Ms });
  } finally {
    await network.close();
  }
}

/** A mesh with a DHT of its own says so in its invites; what the configuration says goes before. */
function inItsDht(options: JoinHereOptions, { bootstrap }: Invite): JoinHereOptions {
  if (options.bootstrapSaid || bootstrap === 'public') return options;
  return { ...options, mesh: { ...options.mesh, bootstrap }, bootstrapSaid: true };
}

function refuseRole({ roles, dataDir }: JoinHereOptions, { role }: Invite): void {
  if (!roles.includes(role)) {
    throw new MeshError(
      'E_BAD_REQUEST',
      role === 'operator'
        ? 'this invite is for a person: use it with "meshnomad operator login", where the command line is used'
        : `this invite is for a machine (${role}): use it there, with "meshnomad join"`,
    );
  }
  if (role === 'server' && existsSync(join(dataDir, 'server'))) {
    throw new MeshError(
      'E_CONFLICT',
      `${join(dataDir, 'server')} holds the jobs of a server of its own, which cannot be in another mesh: move it away, choose another -data-dir, or join as a client`,
    );
  }
}

/** The membership last: with it this machine is in, and everything else is in its place. */
function keep(options: JoinHereOptions, home: MeshHome, joined: Joined, invite: Invite): void {
  const folder = folderOf(options);
  const places = joined.places.map(({ Key, Addresses }) => ({ Key, at: addressesIn(Addresses) }));
  const hints = places.flatMap(({ at }) => at).slice(0, HINTS_KEPT);
  keepNetwork(folder, { bootstrap: saidBootstrap(options), hints: hints.length > 0 ? hints : invite.hints });
  const book = createAddressBook({ path: join(folder, 'addresses'), clock: systemClock, log: silentLog });
  for (const { Key, at } of places) book.add(Key, at);
  const { Relay, Address: nextHop } = joined.via.path;
  if (Relay !== undefined) book.add(Relay, addressesIn([nextHop]));
  book.close();
  saveMembership(home, joined.membership);
}

function folderOf({ mesh }: EnterOptions): string {
  if (mesh.folder === null)
    throw new MeshError('E_BAD_REQUEST', 'an agent that keeps nothing (-dev) cannot be in a mesh');
  return mesh.folder;
}

const homeOf = (options: EnterOptions): MeshHome => openMeshHome(folderOf(options));

function saidBootstrap({ mesh, bootstrapSaid }: EnterOptions): readonly Address[] | null {
  return bootstrapSaid && mesh.bootstrap !== 'public' ? mesh.bootstrap : null;
}

const addressesIn = (texts: readonly string[]): Address[] => texts.flatMap((text) => parseAddress(text, 0) ?? []);

function factsOf(version: string): Record<string, string> {
  return { os: platform(), kernel: release(), arch: arch(), version };
}
