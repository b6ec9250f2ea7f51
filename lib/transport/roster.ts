import { MeshError } from '../structs/errors.js';
import type { CertificateChain, CertificateClaims, MeshInfo, NodeKey, Tombstone } from '../structs/mesh.js';
import type { RosterReply } from '../structs/rpc-mesh.js';
import type { Millis } from '../util/clock.js';
import type { Log } from '../util/log.js';
import { err, type Result } from '../util/result.js';
import { type VerifiedChain, verifyChain } from './certificate.js';
import type { MeshHome } from './mesh-home.js';
import type { OwnCertificate, Roster } from './peers.js';
import { rosterDigest } from './roster-digest.js';
import { verifyTombstone } from './tombstone.js';

// Who belongs to the mesh, as one agent knows it: what the servers said last, and every tombstone it ever heard of. Kept on
// disk, so that machines that all start again without a server still know each other.

/** A rogue server could sign out keys without end; nobody has so many machines. */
const TOMBSTONES_MAX = 10_000;
/** Changes that come together are written to the disk together. */
const SAVE_DELAY_MS = 200;

/** What `joinMesh` and `foundMesh` give, and what is kept on disk. */
export interface Membership {
  readonly Mesh: MeshInfo;
  readonly Chain: CertificateChain;
  readonly Members: RosterReply['Members'];
}

export interface MemberRoster extends Roster {
  /** This agent's own proof, the newest. */
  own(): OwnCertificate;
  /**
   * What the servers say now: replaces what they said before, or with `Since` is added to it. The own certificate is taken when it is
   * newer. False: changes alone do not lead to what the servers have, so all of it has to be asked for.
   */
  update(reply: RosterReply): boolean;
  /**
   * A key that nobody has told of has proven itself, by its certificates, to be a server of this mesh: it counts as one until
   * the servers are heard of again.
   */
  vouch(claims: CertificateClaims): void;
  /** Takes a renewed certificate; throws E_PERMISSION_DENIED for one that is not this agent's. */
  renew(chain: CertificateChain): void;
  /** Checks the certificates that a linked peer has shown for its key. */
  verify(key: NodeKey, chain: unknown): Result<VerifiedChain, MeshError>;
  /** Nothing is written from now on: the member has left, and its files are removed. */
  forget(): void;
  /** Writes what is not on the disk yet, and forgets listeners. */
  close(): void;
}

export interface RosterOptions {
  readonly home: MeshHome;
  /** This agent's own key. */
  readonly key: NodeKey;
  readonly now: () => Millis;
  readonly log: Log;
}

/** Whether there is a mesh on the disk that this machine is a member of. */
export function isMember(home: MeshHome): boolean {
  return home.has('roster');
}

/** Puts a fresh membership on the disk; `createRoster` finds it there. */
export function saveMembership(home: MeshHome, membership: Membership): void {
  home.write('roster', { Version: 1, ...membership });
}

/** The roster of a member, as it was when it last ran. Throws E_STORAGE when nothing, or nothing sound, is on the disk. */
export function createRoster(options: RosterOptions): MemberRoster {
  const { home, key: ownKey, now, log } = options;
  const kept = readMembership(home);
  const mesh = kept.Mesh.Root;
  let info = kept.Mesh;
  let members = new Map(kept.Members.map((member) => [member.Key, member]));
  let invites = new Map<NodeKey, Millis>();
  /** Those that the servers have written down: their order is the one that counts. */
  let recorded = new Set<NodeKey>();
  const tombstones = new Map<NodeKey, Tombstone>();
  const listeners = new Set<() => void>();
  let saver: NodeJS.Timeout | undefined;
  let isForgotten = false;
  let tombstonesKept = true;

  const isBuried = (key: NodeKey): boolean => tombstones.has(key);
  let own = readOwn(kept.Chain);

  function readOwn(chain: CertificateChain): OwnCertificate {
    // Its own tombstone is a matter for the others; this agent still has to know who it was.
    const read = verifyChain(chain, { mesh, key: ownKey, nowMs: now() });
    if (!read.ok) throw read.error;
    return { chain, claims: read.value.claims };
  }

  /** Takes those that verify and are new; throws nothing, answers how many. */
  function take(list: readonly Tombstone[]): number {
    let taken = 0;
    for (const tombstone of list) {
      if (tombstones.has(tombstone.Key) || tombstones.size >= TOMBSTONES_MAX) continue;
      tombstones.set(tombstone.Key, tombstone);
      taken++;
      log.warn('a key was signed out of the mesh', {
        key: tombstone.Key,
        name: members.get(tombstone.Key)?.Name ?? '',
        by: tombstone.By,
        reason: tombstone.Reason,
      });
    }
    if (taken > 0) safely(keepTombstones);
    return taken;
  }

  /** At once: a machine that is switched off next must know them when it comes back. */
  function keepTombstones(): void {
    tombstonesKept = false;
    home.write('tombstones', [...tombstones.values()]);
    tombstonesKept = true;
  }

  /** A full disk keeps nobody from knowing who is in and who is out: what is not written is written with the next change. */
  function safely(write: () => void): void {
    if (isForgotten) return;
    try {
      write();
    } catch (error) {
      log.warn('what is known of the mesh is not on the disk', { why: (error as Error).message });
    }
  }

  const save = (): void => {
    clearTimeout(saver);
    saver = undefined;
    if (!tombstonesKept) keepTombstones();
    saveMembership(home, { Mesh: info, Chain: own.chain, Members: [...members.values()] });
  };
  const changed = (): void => {
    saver ??= setTimeout(() => safely(save), SAVE_DELAY_MS).unref();
    for (const listener of [...listeners]) listener();
  };

  const isInvite = (key: NodeKey): boolean => (invites.get(key) ?? 0) > now();
  const isPresent = (key: NodeKey): boolean => !isBuried(key) && members.get(key)?.Status === 'admitted';

  function verified(list: readonly unknown[]): Result<Tombstone, MeshError>[] {
    return list.map((one) => {
      const by = (one as Tombstone | null)?.By;
      // The word of a buried key does not count. Through whom a server that is still one came in does not matter.
      const stands = by !== undefined && members.get(by)?.Status === 'admitted';
      return verifyTombstone(one, { mesh, isBuried: (key) => isBuried(key) && (key === by || !stands) });
    });
  }

  const known = home.read('tombstones');
  // What is on the disk was verified when it came.
  for (const one of Array.isArray(known) ? (known as Tombstone[]) : []) tombstones.set(one.Key, one);

  return {
    mesh,
    own: () => own,
    info: () => info,
    members: () => [...members.values()].filter(({ Key }) => isPresent(Key)).map(({ Key }) => Key),
    tombstones: () => [...tombstones.values()],
    isInvite: (key) => !isBuried(key) && isInvite(key),
    find(key) {
      const member = members.get(key);
      if (!member) return undefined;
      return { name: member.Name, role: member.Role, status: isBuried(key) ? 'revoked' : member.Status };
    },
    onChange(listener) {
      listeners.add(listener);
    },
    vouch({ Key, Name, Role }) {
      if (isBuried(Key) || members.has(Key)) return;
      members.set(Key, { Key, Name, Role, Status: 'admitted' });
      log.warn('a server is taken at its certificate’s word: none of those that were known is there', {
        name: Name,
        key: Key,
      });
      changed();
    },
    bury(list) {
      const read = verified(list.filter((one) => !tombstones.has(one?.Key)));
      if (read.some((one) => !one.ok)) return false;
      if (take(read.flatMap((one) => (one.ok ? [one.value] : []))) > 0) changed();
      return true;
    },
    update(reply) {
      if (reply.Mesh.Root !== mesh) throw new MeshError('E_PERMISSION_DENIED', 'this is the roster of another mesh');
      const before = JSON.stringify([info, [...members.values()], [...invites], own.chain, [...tombstones.keys()]]);
      info = reply.Mesh;
      const isAll = reply.Since === undefined;
      members = new Map([...(isAll ? [] : members), ...reply.Members.map((member) => [member.Key, member] as const)]);
      const kept = isAll ? [] : [...invites].filter(([key]) => isInvite(key));
      invites = new Map([...kept, ...reply.InviteKeys.map(({ Key, ExpiresAt }) => [Key, ExpiresAt] as const)]);
      recorded = new Set([...(isAll ? [] : recorded), ...reply.Tombstones.map(({ Key }) => Key)]);
      for (const { Key, By } of tombstones.values()) {
        // The servers had signed its signer out before they heard of it: its word does not count.
        if (recorded.has(Key) || !recorded.has(By)) continue;
        tombstones.delete(Key);
        tombstonesKept = false;
      }
      // What the servers agreed on needs no further proof here than the link it came over, but a signature all the same.
      take(
        reply.Tombstones.filter((one) => !tombstones.has(one.Key)).flatMap((one) => {
          const read = verifyTombstone(one, { mesh });
          return read.ok ? [read.value] : [];
        }),
      );
      if (reply.Chain.length > 0) adopt(reply.Chain);
      const after = JSON.stringify([info, [...members.values()], [...invites], own.chain, [...tombstones.keys()]]);
      if (after !== before) changed();
      const told = { Members: [...members.values()], Tombstones: [...recorded].map((Key) => ({ Key })) };
      return isAll || rosterDigest(told) === reply.Digest;
    },
    renew(chain) {
      own = readOwn(chain);
      changed();
    },
    verify(key, chain) {
      // Of a member that the servers have written down it does not matter by whom it was once admitted.
      const written = members.get(key)?.Status === 'admitted';
      const judged = verifyChain(chain, {
        mesh,
        key,
        nowMs: now(),
        isBuried: (one) => isBuried(one) && (one === key || !written),
      });
      const status = members.get(key)?.Status;
      if (judged.ok && (status === 'left' || status === 'revoked')) {
        return err(new MeshError('E_PERMISSION_DENIED', `${judged.value.claims.Name} is no member any more`));
      }
      return judged;
    },
    forget() {
      isForgotten = true;
    },
    close() {
      listeners.clear();
      if (saver) safely(save);
    },
  };

  function adopt(chain: CertificateChain): void {
    if (chain[0] === own.chain[0] && chain.length === own.chain.length) return;
    try {
      own = readOwn(chain);
    } catch (error) {
      log.warn('a certificate from the servers is not this agent’s', { why: (error as Error).message });
    }
  }
}

function readMembership(home: MeshHome): Membership {
  const value = home.read('roster') as (Membership & { Version: number }) | undefined;
  if (value === undefined) throw new MeshError('E_STORAGE', 'this machine is in no mesh: "meshnomad init" or "join"');
  if (value.Version !== 1 || !value.Mesh?.Root || !Array.isArray(value.Chain) || !Array.isArray(value.Members)) {
    throw new MeshError('E_STORAGE', 'what is on the disk of the mesh cannot be read: restore it, or join again');
  }
  return value;
}
