import type { Command } from '../../state/commands.js';
import type { StateSnapshot } from '../../state/store.js';
import { MeshError } from '../../structs/errors.js';
import type { RootKey } from '../../structs/variable.js';
import { type Millis, toMillis } from '../../util/clock.js';
import type { LeaderPart } from '../leader.js';
import { propose } from '../propose.js';
import type { ServerWorld } from '../world.js';
import { activeKey, type Keyring, newRootKey, sealKey } from './keyring.js';
import { rekeyed } from './rekey.js';

/** As Nomad's root_key_rotation_threshold. */
const ROTATE_AFTER_MS = 720 * 3_600_000;
/** Identities that were signed with an older key are good for that long. */
const KEEP_MS = 2 * ROTATE_AFTER_MS;
const LOOK_EVERY_MS = 10 * 60_000;
const RETRY_MS = 5_000;

/**
 * What the leader does for the keyring: makes the first key, a new one each month, seals a copy of each for servers that have
 * come and drops those of servers that are out, brings variables under the active key, forgets keys that nothing needs.
 */
export function createKeyringDuty(world: ServerWorld, keyring: Keyring): LeaderPart {
  const log = world.log.child('keyring');
  let leads = false;
  let busy = false;
  let again = false;
  let cancel = (): void => {};

  async function next(): Promise<Command | undefined> {
    const state = world.store.snapshot();
    keyring.keep(state);
    const holders = holdersOf(world, state);
    const active = activeKey(state);
    const isDue = !active || isOld(active, world.now()) || wasSeenByOthers(active, holders);
    if (isDue || !(await keyring.tryOpen(active))) {
      return {
        type: 'root-key-put',
        key: await sealKey(newRootKey(), { holders, state: 'active', createdMs: world.now() }),
      };
    }
    for (const key of state.rootKeys()) {
      const open = hasRightCopies(key, holders) ? undefined : await keyring.tryOpen(key);
      if (!open) continue;
      const row = await sealKey(open, { holders, state: key.State, createdMs: toMillis(key.CreateTime) });
      return { type: 'root-key-put', key: row };
    }
    return (await rekeyed(state, keyring)) ?? forgettable(state);
  }

  async function work(): Promise<void> {
    if (busy || !leads) {
      again = busy;
      return;
    }
    busy = true;
    cancel();
    let waitMs = LOOK_EVERY_MS;
    try {
      for (let command = await next(); command !== undefined && leads; command = await next()) {
        await propose(world.consensus, command);
        if (command.type === 'root-key-put')
          log.info('root key sealed', { key: command.key.KeyID, state: command.key.State });
      }
    } catch (error) {
      waitMs = RETRY_MS;
      if (error instanceof MeshError) log.warn('the keyring has to wait', { why: error.message });
      else log.error('a duty for the keyring failed', { reason: (error as Error).stack ?? String(error) });
    } finally {
      busy = false;
      if (leads) cancel = world.timers.setTimeout(again ? 0 : waitMs, look);
      again = false;
    }
  }

  const look = (): void => void work();

  return {
    name: 'keyring',
    begin() {
      leads = true;
      world.timers.soon(look);
    },
    end() {
      leads = false;
      cancel();
    },
    saw({ changes }) {
      if (changes.some(({ table }) => table === 'mesh_members' || table === 'mesh' || table === 'root_keys')) {
        world.timers.soon(look);
      }
    },
  };
}

const isOld = (key: RootKey, nowMs: Millis): boolean => toMillis(key.CreateTime) + ROTATE_AFTER_MS <= nowMs;

/** A server that is out may have kept the key: what is written from now on is not for it. */
const wasSeenByOthers = (key: RootKey, holders: readonly string[]): boolean =>
  Object.keys(key.Sealed).some((holder) => !holders.includes(holder));

/** Who must be able to open every key: the servers, and the mesh's root; without a mesh this server. */
export function holdersOf({ config }: ServerWorld, state: StateSnapshot): string[] {
  const mesh = state.mesh();
  if (!mesh) return config.identity ? [config.identity.publicKey] : [];
  const servers = [...state.meshMembers()].filter(({ Role, Status }) => Role === 'server' && Status === 'admitted');
  return [mesh.Root, ...servers.map(({ Key }) => Key)];
}

function hasRightCopies(key: RootKey, holders: readonly string[]): boolean {
  const copies = Object.keys(key.Sealed);
  return copies.length === holders.length && holders.every((holder) => key.Sealed[holder] !== undefined);
}

/** An inactive key that no variable needs, and that is old enough for no identity to be signed with it any more. */
function forgettable(state: StateSnapshot): Command | undefined {
  const needed = new Set([...state.variables()].map(({ KeyID }) => KeyID));
  const active = activeKey(state);
  for (const key of state.rootKeys()) {
    const ageMs = active ? toMillis(active.CreateTime) - toMillis(key.CreateTime) : 0;
    if (key.State === 'inactive' && !needed.has(key.KeyID) && ageMs > KEEP_MS)
      return { type: 'root-key-delete', id: key.KeyID };
  }
  return undefined;
}
