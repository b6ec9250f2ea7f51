import type { Command, RootKeyPutCommand } from '../../state/commands.js';
import type { StateSnapshot } from '../../state/store.js';
import { sealedTexts } from '../../structs/csi-sealed.js';
import type { RootKey } from '../../structs/variable.js';
import { type Millis, toMillis } from '../../util/clock.js';
import { createDuty } from '../duty.js';
import type { LeaderPart } from '../leader.js';
import { propose } from '../propose.js';
import type { ServerWorld } from '../world.js';
import { activeKey, type Keyring, newRootKey, type OpenKey, sealKey } from './keyring.js';
import { rekeyed } from './rekey.js';

/** As Nomad's root_key_rotation_threshold. */
const ROTATE_AFTER_MS = 720 * 3_600_000;
/** Identities that were signed with an older key are good for that long. */
const KEEP_MS = 2 * ROTATE_AFTER_MS;

/**
 * What the leader does for the keyring: makes the first key, a new one each month, seals a copy of each for servers that have
 * come and drops those of servers that are out, brings variables and the secrets of volumes under the active key, forgets keys that nothing needs.
 */
export function createKeyringDuty(world: ServerWorld, keyring: Keyring): LeaderPart {
  async function next(): Promise<Command | undefined> {
    const state = world.store.snapshot();
    keyring.keep(state);
    const holders = holdersOf(world, state);
    const active = activeKey(state);
    // The first key is made when somebody needs one: an agent that keeps no secrets need not load what seals them.
    if (!active) return undefined;
    const isDue = isOld(active, world.now()) || wasSeenByOthers(active, holders);
    if (isDue || !(await keyring.tryOpen(active))) return await newActiveKey(world);
    for (const key of state.rootKeys()) {
      const open = hasRightCopies(key, holders) ? undefined : await keyring.tryOpen(key);
      if (!open) continue;
      return await sealedAnew(world, key, open);
    }
    return (await rekeyed(state, keyring)) ?? forgettable(state);
  }

  return createDuty(world, {
    name: 'keyring',
    next,
    minds: ({ table }) => table === 'mesh_members' || table === 'mesh' || table === 'root_keys',
  });
}

/** Copies of a key that was opened, for all who must have one. */
export async function sealedAnew(world: ServerWorld, key: RootKey, open: OpenKey): Promise<RootKeyPutCommand> {
  const holders = holdersOf(world, world.store.snapshot());
  const row = await sealKey(open, { holders, state: key.State, createdMs: toMillis(key.CreateTime) });
  return { type: 'root-key-put', key: row };
}

/** A new key, which is to be the active one. */
export async function newActiveKey(world: ServerWorld): Promise<RootKeyPutCommand> {
  const holders = holdersOf(world, world.store.snapshot());
  return {
    type: 'root-key-put',
    key: await sealKey(newRootKey(), { holders, state: 'active', createdMs: world.now() }),
  };
}

/** Makes the first key if there is none and this server leads; two that come at once make one. */
export function firstKey(world: ServerWorld): () => Promise<void> {
  let making: Promise<void> | null = null;
  const make = async (): Promise<void> => {
    await propose(world.consensus, await newActiveKey(world));
  };
  return async () => {
    if (activeKey(world.store.snapshot()) || !world.config.identity || !world.consensus.isLeader) return;
    making ??= make().finally(() => {
      making = null;
    });
    await making;
  };
}

const isOld = (key: RootKey, nowMs: Millis): boolean => toMillis(key.CreateTime) + ROTATE_AFTER_MS <= nowMs;

/** A server that is out may have kept the key: what is written from now on is not for it. */
const wasSeenByOthers = (key: RootKey, holders: readonly string[]): boolean =>
  Object.keys(key.Sealed).some((holder) => !holders.includes(holder));

/** Who must be able to open every key: the servers, and the mesh's root; without a mesh this server. */
function holdersOf({ config }: ServerWorld, state: StateSnapshot): string[] {
  const mesh = state.mesh();
  if (!mesh) return config.identity ? [config.identity.publicKey] : [];
  const servers = [...state.meshMembers()].filter(({ Role, Status }) => Role === 'server' && Status === 'admitted');
  return [mesh.Root, ...servers.map(({ Key }) => Key)];
}

function hasRightCopies(key: RootKey, holders: readonly string[]): boolean {
  const copies = Object.keys(key.Sealed);
  return copies.length === holders.length && holders.every((holder) => key.Sealed[holder] !== undefined);
}

/** An inactive key that no variable, volume or archive needs, and that is old enough for no identity to be signed with it any more. */
function forgettable(state: StateSnapshot): Command | undefined {
  const needed = new Set([...state.variables()].map(({ KeyID }) => KeyID));
  for (const volume of state.csiVolumes()) for (const { sealed } of sealedTexts(volume)) needed.add(sealed.KeyID);
  for (const { Key } of state.volumeArchives()) needed.add(Key.KeyID);
  const active = activeKey(state);
  for (const key of state.rootKeys()) {
    const ageMs = active ? toMillis(active.CreateTime) - toMillis(key.CreateTime) : 0;
    if (key.State === 'inactive' && !needed.has(key.KeyID) && ageMs > KEEP_MS)
      return { type: 'root-key-delete', id: key.KeyID };
  }
  return undefined;
}
