import { watchKeys } from '../../state/watch.js';
import type { Allocation } from '../../structs/allocation.js';
import { MeshError } from '../../structs/errors.js';
import { groupOf } from '../../structs/group-of.js';
import type { WorkloadIdentity } from '../../structs/job.js';
import type { JsonWebKey, SignedIdentity } from '../../structs/rpc-variable.js';
import type { RootKey, RootKeyMeta } from '../../structs/variable.js';
import { signJwt } from '../../transport/jwt.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { toMillis } from '../../util/clock.js';
import { answerQuery } from '../blocking.js';
import { newActiveKey, sealedAnew } from '../keyring/duty.js';
import type { OpenKey } from '../keyring/keyring.js';
import { propose } from '../propose.js';
import { type EndpointContext, requireText } from './context.js';
import { openRoot } from './open-root.js';
import { requireOwnAlloc } from './own-alloc.js';

const ISSUED_NAME = 'default';

/** The keys of the mesh's secrets, and the identities of tasks that are signed with them. */
export function keyringEndpoints(context: EndpointContext): RpcHandlers {
  const { keyring, store, consensus, now, random } = context;
  return {
    async 'Keyring.List'(args, call) {
      return answerQuery(context, args, call, [watchKeys.rootKeys()], (state) => ({
        index: state.tableIndex('root_keys'),
        reply: { Keys: [...state.rootKeys()].map(metaOf) },
      }));
    },

    async 'Keyring.ListPublic'(args, call) {
      return answerQuery(context, args, call, [watchKeys.rootKeys()], (state) => ({
        index: state.tableIndex('root_keys'),
        reply: { Keys: [...state.rootKeys()].map(webKey) },
      }));
    },

    async 'Keyring.Rotate'() {
      const command = await newActiveKey(context);
      const { index } = await propose(consensus, command);
      return { Index: index, Key: { ...metaOf(command.key), CreateIndex: index, ModifyIndex: index } };
    },

    async 'Keyring.Open'(args) {
      const root = openRoot(store.snapshot(), args.Code);
      const Keys: RootKeyMeta[] = [];
      let Index = store.snapshot().tableIndex('root_keys');
      for (const key of [...store.snapshot().rootKeys()]) {
        const open = (await keyring.tryOpen(key)) ?? (await keyring.openByRoot(key, root));
        if (!open) continue;
        Keys.push(metaOf(key));
        Index = (await propose(consensus, await sealedAnew(context, key, open))).index;
      }
      return { Index, Keys };
    },

    async 'Keyring.Delete'(args) {
      const id = requireText(args.KeyID, 'root key ID');
      const { index } = await propose(consensus, { type: 'root-key-delete', id });
      return { Index: index };
    },

    async 'Alloc.SignIdentities'(args, call) {
      const alloc = await requireOwnAlloc(context, args);
      const answer = await answerQuery(context, args, call, [], (state) => ({ index: state.index, reply: {} }));
      await context.ensureKey();
      const key = await keyring.active(store.snapshot());
      const Signed: Record<string, SignedIdentity> = {};
      for (const name of args.Identities) {
        const identity = requireIdentity(alloc, args.Task, name);
        Signed[name] = signIdentity(identity, { alloc, task: args.Task, key, nowMs: now(), id: tokenId(random.next) });
      }
      return { ...answer, Signed };
    },
  };
}

const metaOf = ({ KeyID, State, CreateTime, CreateIndex, ModifyIndex }: RootKey): RootKeyMeta => ({
  KeyID,
  State,
  CreateTime,
  CreateIndex,
  ModifyIndex,
  Algorithm: 'aes256-gcm',
});

const webKey = ({ KeyID, PublicKey }: RootKey): JsonWebKey => ({
  kty: 'OKP',
  crv: 'Ed25519',
  alg: 'EdDSA',
  use: 'sig',
  kid: KeyID,
  x: Buffer.from(PublicKey, 'hex').toString('base64url'),
});

/** Tells two tokens apart; not a secret. */
const tokenId = (next: () => number): string =>
  Array.from({ length: 4 }, () => Math.floor(next() * 2 ** 32).toString(16)).join('-');

function requireIdentity(alloc: Allocation, taskName: string, name: string): WorkloadIdentity {
  const group = groupOf(alloc.Job, alloc.TaskGroup);
  const task = group?.Tasks.find(({ Name }) => Name === taskName);
  const found =
    name === '' || name === ISSUED_NAME ? task?.Identity : task?.Identities?.find(({ Name }) => Name === name);
  if (found) return found;
  throw new MeshError('E_BAD_REQUEST', `task "${taskName}" has no identity named ${JSON.stringify(name)}`);
}

/** The claims as Nomad writes them, so that whoever trusts its tokens reads these. */
function signIdentity(
  identity: WorkloadIdentity,
  { alloc, task, key, nowMs, id }: { alloc: Allocation; task: string; key: OpenKey; nowMs: number; id: string },
): SignedIdentity {
  const issuedAt = Math.floor(nowMs / 1_000);
  const Expiration = identity.TTL > 0 ? issuedAt + Math.floor(toMillis(identity.TTL) / 1_000) : 0;
  const audience = identity.Audience ?? [];
  const claims = {
    ...(audience.length > 0 ? { aud: audience.length === 1 ? audience[0] : audience } : {}),
    ...(Expiration > 0 ? { exp: Expiration } : {}),
    iat: issuedAt,
    jti: id,
    nbf: issuedAt,
    nomad_allocation_id: alloc.ID,
    nomad_job_id: alloc.JobID,
    nomad_namespace: alloc.Namespace,
    nomad_task: task,
    sub: `global:${alloc.Namespace}:${alloc.JobID}:${alloc.TaskGroup}:${task}:${identity.Name || ISSUED_NAME}`,
  };
  return { JWT: signJwt(claims, key.signing, key.id), Expiration };
}
