import { randomBytes } from 'node:crypto';
import type { Command, CommandValues } from '../../state/commands.js';
import type { StateSnapshot } from '../../state/store.js';
import { MeshError } from '../../structs/errors.js';
import type { MeshMember } from '../../structs/mesh.js';
import type { RedeemRequest } from '../../structs/rpc-mesh.js';
import { nodeIdOf } from '../../transport/certificate.js';
import { encodeInvite, inviteKey } from '../../transport/invite.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { signTombstone } from '../../transport/tombstone.js';
import { fourWords } from '../../transport/words.js';
import { randomUuid } from '../../util/random.js';
import { requireMesh } from '../mesh/config.js';
import { findMember } from '../mesh/find-member.js';
import { draftInvite } from '../mesh/invite-rules.js';
import { planRedeem, type RedeemPlan } from '../mesh/redeem-rules.js';
import { isDue } from '../mesh/renewal-rules.js';
import { propose } from '../propose.js';
import type { EndpointContext } from './context.js';
import { requireFounded } from './mesh.js';

/** Each attempt looks at the state anew; more than a few mean that something is wrong. */
const ATTEMPTS_MAX = 8;

type Plan<C, K> = (state: StateSnapshot) => { command: C } | { done: K };
type Settled<C extends Command, K> = { index: number; value: CommandValues[C['type']] } | { done: K };

/** How somebody comes in, and gets its certificates. */
export function meshAdmissionEndpoints(context: EndpointContext): RpcHandlers {
  const { consensus, store, now } = context;

  // One after the other: each sees the names and serials that those before it were given.
  let turn: Promise<unknown> = Promise.resolve();
  function settle<C extends Command, K>(plan: Plan<C, K>): Promise<Settled<C, K>> {
    const settled = turn.then(() => attempt(plan));
    turn = settled.catch(() => {});
    return settled;
  }

  /** Proposes what `plan` makes of the newest state, again whenever the state moved on meanwhile. */
  async function attempt<C extends Command, K>(plan: Plan<C, K>): Promise<Settled<C, K>> {
    for (let count = 1; ; count++) {
      const next = plan(store.snapshot());
      if ('done' in next) return next;
      try {
        return await propose(consensus, next.command);
      } catch (error) {
        if (!(error instanceof MeshError) || error.code !== 'E_CONFLICT' || count === ATTEMPTS_MAX) throw error;
      }
    }
  }

  async function redeem(request: RedeemRequest): Promise<{ member: MeshMember; index: number }> {
    const { view } = requireMesh(context.config);
    const settled = await settle<Extract<Command, { type: 'mesh-redeem' }>, MeshMember>((state) => {
      const isAlive = (key: string): boolean => view(key).Health === 'alive';
      const plan = planRedeem(state, request, { now: now(), isAlive });
      return plan.kind === 'known' ? { done: plan.member } : { command: admission(context, request, plan) };
    });
    if ('done' in settled) return { member: settled.done, index: settled.done.ModifyIndex };
    return { member: settled.value.member, index: settled.index };
  }

  return {
    async 'Mesh.CreateInvite'(args) {
      const { identity, addresses, bootstrap } = requireMesh(context.config);
      const state = store.snapshot();
      const mesh = requireFounded(state);
      const draft = draftInvite(state, args, now());
      const seed = new Uint8Array(randomBytes(16));
      const ID = randomUuid(context.random);
      const invite = { ...draft, ID, Key: inviteKey(seed).publicKey, Used: [], Revoked: false };
      const { index } = await propose(consensus, { type: 'mesh-invite', invite });
      const text = encodeInvite({
        mesh: mesh.Root,
        discoverySecret: Buffer.from(mesh.DiscoverySecrets[0] as string, 'hex'),
        seed,
        server: identity.publicKey,
        role: draft.Role,
        needsApproval: draft.NeedsApproval,
        expiresAtMs: draft.ExpiresAt,
        hints: addresses(),
        bootstrap,
      });
      return { Invite: text, ID, ExpiresAt: draft.ExpiresAt, NeedsApproval: draft.NeedsApproval, Index: index };
    },

    async 'Mesh.RevokeInvite'(args) {
      requireMesh(context.config);
      const id = findInvite(store.snapshot(), args.ID);
      const { index } = await propose(consensus, { type: 'mesh-invite-revoke', id });
      return { Index: index };
    },

    async 'Mesh.Redeem'(args) {
      const { member, index } = await redeem(args);
      return { Member: member, Mesh: requireFounded(store.snapshot()), Index: index };
    },

    async 'Mesh.Approve'(args) {
      const { identity } = requireMesh(context.config);
      const settled = await settle<Extract<Command, { type: 'mesh-approve' }>, MeshMember>((state) => {
        const member = findMember(state, args.Member);
        if (member.Status === 'admitted') return { done: member };
        if (member.Status !== 'pending')
          throw new MeshError('E_CONFLICT', `${member.Name} is out: it needs a new invite`);
        const certificate = requireIssuer(context).issue(member);
        return { command: { type: 'mesh-approve', certificate, time: now(), by: identity.publicKey } };
      });
      if ('done' in settled) return { Member: settled.done, Index: settled.done.ModifyIndex };
      return { Member: settled.value.member, Index: settled.index };
    },

    async 'Mesh.Renew'(args) {
      requireMesh(context.config);
      const settled = await settle<Extract<Command, { type: 'mesh-renew' }>, MeshMember>((state) => {
        const member = requireAdmitted(state, args.Key);
        // Asked too early, or twice: the newest it has will do.
        if (!isDue(member, now()) || member.Key === context.config.mesh?.identity.publicKey) return { done: member };
        return { command: { type: 'mesh-renew', certificates: [requireIssuer(context).issue(member)] } };
      });
      const index = 'done' in settled ? settled.done.ModifyIndex : settled.index;
      return { Member: requireAdmitted(store.snapshot(), args.Key), Index: index };
    },
  };
}

/** The command that lets one in, as the plan says: with a certificate, or among those who wait. */
function admission(
  context: EndpointContext,
  request: RedeemRequest,
  { invite, name, status, replaced }: Extract<RedeemPlan, { kind: 'admit' }>,
): Extract<Command, { type: 'mesh-redeem' }> {
  const { identity } = requireMesh(context.config);
  const state = context.store.snapshot();
  const { Root } = requireFounded(state);
  const { Key } = request;
  const time = context.now();
  const about = { Key, Name: name, Role: invite.Role, Tags: invite.Tags };
  const certificate = status === 'admitted' ? requireIssuer(context).issue(about) : undefined;
  const bury =
    replaced &&
    signTombstone({
      mesh: Root,
      key: replaced.Key,
      atMs: time,
      reason: `replaced by ${Key.slice(0, 8)}`,
      by: identity,
      chain: state.meshMember(identity.publicKey)?.Chain ?? [],
    });
  return {
    type: 'mesh-redeem',
    inviteId: invite.ID,
    member: {
      ...about,
      NodeID: nodeIdOf(Key),
      Status: status,
      Serial: certificate?.serial ?? 0,
      Chain: certificate?.chain ?? [],
      NotAfter: certificate?.notAfter ?? 0,
      Words: status === 'pending' ? fourWords({ mesh: Root, key: Key, invite: invite.Key }) : '',
      InviteID: invite.ID,
      AdmittedAt: time,
      AdmittedBy: identity.publicKey,
      Facts: request.Facts,
    },
    bury,
    discoverySecret: bury && randomBytes(32).toString('hex'),
    time,
  };
}

function requireIssuer({ issuer, config }: EndpointContext) {
  requireMesh(config);
  if (issuer) return issuer;
  throw new MeshError('E_NOT_SUPPORTED', 'this server is in no mesh');
}

function requireAdmitted(state: StateSnapshot, key: string): MeshMember {
  const member = state.meshMember(key);
  if (member?.Status === 'admitted') return member;
  throw new MeshError('E_PERMISSION_DENIED', 'this machine is no member any more: it needs a new invite');
}

/** The id of the invite that an id, or a beginning of one, means. */
function findInvite(state: StateSnapshot, text: unknown): string {
  if (typeof text !== 'string' || text.length < 2) throw new MeshError('E_BAD_REQUEST', 'missing id of the invite');
  if (/^mn1-/i.test(text)) {
    throw new MeshError('E_BAD_REQUEST', 'this is the invite itself; its id is what "meshnomad invite list" shows');
  }
  const found = [...state.meshInvites()].filter(({ ID }) => ID.startsWith(text.toLowerCase()));
  if (found.length === 1) return (found[0] as { ID: string }).ID;
  const what = found.length === 0 ? 'no invite has' : 'several invites have';
  throw new MeshError('E_NOT_FOUND', `${what} an id that begins with ${JSON.stringify(text)}: "meshnomad invite list"`);
}
