import type { StateSnapshot } from '../../state/store.js';
import { MeshError } from '../../structs/errors.js';
import type { MeshInvite, MeshMember } from '../../structs/mesh.js';
import type { RedeemRequest } from '../../structs/rpc-mesh.js';
import { assert } from '../../util/assert.js';
import type { Millis } from '../../util/clock.js';
import { checkName } from './invite-rules.js';

/** What becomes of one who comes with an invite. */
export type RedeemPlan =
  /** It has come before: its answer was lost, or it waits. Nothing is to be done. */
  | { readonly kind: 'known'; readonly member: MeshMember }
  | {
      readonly kind: 'admit';
      readonly invite: MeshInvite;
      readonly name: string;
      readonly status: 'admitted' | 'pending';
      /** What this machine was before. */
      readonly replaced: MeshMember | null;
    };

const NAME_MAX = 63;

/** Decides by the state alone; throws a MeshError that tells the person at the new machine what to do. */
export function planRedeem(
  state: StateSnapshot,
  request: RedeemRequest,
  { now, isAlive }: { now: Millis; isAlive: (key: string) => boolean },
): RedeemPlan {
  const { Key } = request;
  const tombstone = state.meshTombstone(Key);
  if (tombstone) {
    throw denied(
      `this machine was signed out of the mesh at ${timeText(tombstone.At)} (${tombstone.Reason || 'no reason given'}): to come again it needs a new identity, and a new invite`,
    );
  }
  const invite = state.meshInviteByKey(request.InviteKey);
  const member = state.meshMember(Key);
  if (member && isKnown(member, invite)) return { kind: 'known', member };
  if (!invite) throw new MeshError('E_NOT_FOUND', 'the servers do not know this invite: ask for a new one');
  checkInvite(invite, now);
  const replaced = request.Replace ? findReplaced(state, request.Replace, { invite, Key, isAlive }) : null;
  const name = chooseName(state, request, invite, replaced);
  return { kind: 'admit', invite, name, status: invite.NeedsApproval ? 'pending' : 'admitted', replaced };
}

/** The same machine with the invite it came with, or with another one that would make it what it is. */
function isKnown({ Key, Status, Role }: MeshMember, invite: MeshInvite | undefined): boolean {
  if (Status === 'pending') return true;
  if (Status !== 'admitted') return false;
  return !invite || invite.Role === Role || invite.Used.some((use) => use.Key === Key);
}

function checkInvite(invite: MeshInvite, now: Millis): void {
  if (invite.Revoked) throw denied('this invite was revoked: ask for a new one');
  const last = invite.Used.at(-1);
  if (invite.Used.length >= invite.Uses && last) {
    const by = `used by ${last.Name} at ${timeText(last.At)}`;
    throw denied(
      invite.Uses === 1
        ? `this invite was ${by}: ask for a new one. If you do not know ${last.Name}, revoke it: somebody else had the invite`
        : `this invite was used ${invite.Uses} times, which is all; it was last ${by}: ask for a new one`,
    );
  }
  if (invite.ExpiresAt <= now) {
    throw denied(`this invite ended at ${timeText(invite.ExpiresAt)}, by the clock of the servers: ask for a new one`);
  }
}

/** A machine takes the place of another only with an invite that was made for that name: a stolen one must not push others out. */
function findReplaced(
  state: StateSnapshot,
  name: string,
  { invite, Key, isAlive }: { invite: MeshInvite; Key: string; isAlive: (key: string) => boolean },
): MeshMember {
  if (invite.Name !== name) {
    throw denied(`to replace ${name} an invite for that name is needed: "meshnomad invite -name ${name}"`);
  }
  const member = state.meshMemberByName(name);
  if (!member) throw new MeshError('E_NOT_FOUND', `there is no ${name} to replace: join without -replace`);
  if (member.Key === Key) throw new MeshError('E_BAD_REQUEST', `this machine is ${name} already`);
  if (isAlive(member.Key)) {
    throw new MeshError('E_CONFLICT', `${name} is alive: stop it first, or join under another name`);
  }
  return member;
}

function chooseName(
  state: StateSnapshot,
  request: RedeemRequest,
  invite: MeshInvite,
  replaced: MeshMember | null,
): string {
  const isFree = (name: string): boolean => {
    const holder = state.meshMemberByName(name);
    return !holder || holder.Key === request.Key || holder.Key === replaced?.Key;
  };
  if (invite.Name !== '') {
    if (isFree(invite.Name)) return invite.Name;
    throw new MeshError(
      'E_CONFLICT',
      `the invite is for ${invite.Name}, which exists: if this is that machine, installed anew, add -replace ${invite.Name}`,
    );
  }
  const wanted = request.Rename ? tidyName(request.Name) : request.Name;
  checkName(wanted);
  if (isFree(wanted)) return wanted;
  if (!request.Rename) {
    throw new MeshError(
      'E_CONFLICT',
      `a member named ${wanted} exists: choose another name (-node for a machine, -name for a person)`,
    );
  }
  for (let n = 2; ; n++) {
    assert(n < 1_000_000, 'some number is free');
    const numbered = `${wanted.slice(0, NAME_MAX - 1 - String(n).length)}-${n}`;
    if (isFree(numbered)) return numbered;
  }
}

/** The name of a machine's own choosing, made fit. */
function tidyName(name: string): string {
  const tidy = name
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .slice(0, NAME_MAX)
    .replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '');
  return tidy === '' ? 'node' : tidy;
}

const denied = (why: string): MeshError => new MeshError('E_PERMISSION_DENIED', why);

/** `2026-05-01 10:04 UTC`: the reader may be in any time zone. */
function timeText(ms: Millis): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
