import { Turns } from '../plugin/sdk/csi-checks.js';
import { isClientTerminal } from '../scheduler/usage.js';
import { type ClaimStep, nextClaimAction, releaseWaitsFor } from '../state/claims.js';
import type { Commit, StateSnapshot } from '../state/store.js';
import type { CsiClaimStepsCommand } from '../state/volume-commands.js';
import type { CsiClaim, StoredCsiVolume } from '../structs/csi.js';
import { MeshError } from '../structs/errors.js';
import { backoffMs } from '../util/backoff.js';
import type { Millis } from '../util/clock.js';
import { claimOnNode } from './csi/claim-on-node.js';
import type { Controllers } from './csi/controllers.js';
import { withoutSecrets } from './csi/view.js';
import type { Keyring } from './keyring/keyring.js';
import { openVolume } from './keyring/volumes.js';
import type { LeaderPart } from './leader.js';
import type { NodeLeases } from './node-leases.js';
import type { NodePaths } from './node-path.js';
import { propose } from './propose.js';
import { createAlarm } from './timers.js';
import type { ServerWorld } from './world.js';

// The leader's hand in the life of claims (lib/state/claims.ts): it looks at what is claimed whenever something that matters to it
// has changed, asks nodes and controllers, and enters each step into the log before the next. What fails is tried again, and the
// claim says what it waits for. Nothing of it is remembered: whoever leads next reads the state.

/** A node may have tasks to kill and a busy disk to unmount. */
const NODE_DETACH_MS = 60_000;
const RETRY = { baseMs: 1_000, maxMs: 60_000 };
/** A claim's wait is told in the state only if it lasts: an ordinary release is over before. */
const TELL_AFTER_ATTEMPTS = 2;
/** So does one who is asked and says nothing. */
const TELL_SILENCE_MS: Millis = 5_000;

/** A claim, and where it is. */
interface Place {
  volume: StoredCsiVolume;
  claim: CsiClaim;
}

interface Attempt {
  failures: number;
  /** Not before; 0 while it is under way. */
  dueMs: Millis;
  /** Nobody waits for the answer any more. */
  readonly over: AbortController;
}

export interface VolumeWatcher extends LeaderPart {
  /** What is asked of the storage behind one volume is asked one after the other, by whoever asks. */
  readonly turns: Turns;
}

export interface VolumeWatcherParts {
  readonly paths: NodePaths;
  readonly controllers: Controllers;
  readonly leases: NodeLeases;
  readonly keyring: Keyring;
}

export function createVolumeWatcher(world: ServerWorld, parts: VolumeWatcherParts): VolumeWatcher {
  const { store, now, timers } = world;
  const log = world.log.child('volumes');
  const turns = new Turns();
  const keeping = { store, keyring: parts.keyring };
  /** By claim and action. */
  const attempts = new Map<string, Attempt>();
  const alarm = createAlarm({ timers, now, ring: () => lookSoon() });
  let reign = 0;
  let leads = false;
  let isDue = false;
  let entering = 0;

  const lookSoon = (): void => {
    if (isDue || !leads) return;
    isDue = true;
    timers.soon(() => {
      isDue = false;
      if (leads) look();
    });
  };

  const look = (): void => {
    const state = store.snapshot();
    const steps: CsiClaimStepsCommand['steps'][number][] = [];
    const seen = new Set<string>();
    let nextMs = Number.POSITIVE_INFINITY;
    const later = (ms: Millis): void => {
      nextMs = Math.min(nextMs, ms);
    };
    for (const volume of state.claimedCsiVolumes()) {
      for (const claim of Object.values(volume.Claims)) {
        const place = { volume, claim };
        const action = nextClaimAction(claim, factsOf(state, claim));
        switch (action.kind) {
          case 'none':
            break;
          case 'step':
            steps.push(entry(place, action.step));
            break;
          case 'wait':
            if (claim.WaitsFor !== action.what) steps.push(entry(place, { kind: 'waits', what: action.what }));
            later(action.untilMs);
            break;
          case 'ask-node':
          case 'ask-controller': {
            // By force is another question, which waits for no answer to the one before.
            const key = `${claim.Fence} ${claim.AllocationID} ${action.kind} ${claim.ForcedReason}`;
            seen.add(key);
            later(begin(key, place, action.kind));
          }
        }
      }
    }
    for (const key of attempts.keys()) if (!seen.has(key)) forget(key);
    // What is on its way into the log is seen again when it is there.
    if (steps.length > 0 && entering === 0) void enter(steps);
    alarm.set(Number.isFinite(nextMs) ? nextMs : undefined);
  };

  const factsOf = (state: StateSnapshot, claim: CsiClaim) => {
    const alloc = state.allocById(claim.AllocationID);
    const node = state.nodeById(claim.NodeID);
    const isUp = node !== undefined && (node.Status === 'ready' || node.Status === 'initializing');
    return {
      now: now(),
      alloc: alloc === undefined ? 'gone' : isClientTerminal(alloc) ? 'ended' : 'live',
      node: isUp ? 'up' : 'away',
      leaseEndsMs: parts.leases.endsMs(claim.NodeID),
    } as const;
  };

  /** Asks, unless that is under way or it is too early to ask again; returns when to look at it next. */
  const begin = (key: string, place: Place, kind: 'ask-node' | 'ask-controller'): Millis => {
    const attempt = attempts.get(key) ?? { failures: 0, dueMs: now(), over: new AbortController() };
    attempts.set(key, attempt);
    if (attempt.dueMs === 0) return Number.POSITIVE_INFINITY;
    if (attempt.dueMs > now()) return attempt.dueMs;
    attempt.dueMs = 0;
    const mine = reign;
    const cancel = timers.setTimeout(TELL_SILENCE_MS, () => {
      const what = `${askedOf(place.claim)}: no answer yet`;
      if (mine === reign && place.claim.WaitsFor === '') void enter([entry(place, { kind: 'waits', what })]);
    });
    void turns
      .take(turnKey(place.volume), () => ask(place, kind, attempt.over.signal))
      .finally(cancel)
      .then(
        (step) => ({ step, why: '' }),
        async (error: unknown) =>
          attempt.over.signal.aborted ? { step: null, why: '' } : await failed(place, kind, error),
      )
      .then(async ({ step, why }) => {
        if (mine !== reign || attempt.over.signal.aborted) return;
        if (why !== '') attempt.failures++;
        attempt.dueMs = now() + backoffMs({ attempt: attempt.failures, ...RETRY, random: world.random });
        if (step) await enter([entry(place, step)]);
        else if (attempt.failures >= TELL_AFTER_ATTEMPTS && place.claim.WaitsFor !== why) {
          await enter([entry(place, { kind: 'waits', what: why })]);
        }
        lookSoon();
      });
    return Number.POSITIVE_INFINITY;
  };

  /** Does what the claim needs next, if this server still leads and nobody else has done it. */
  const ask = async (
    { volume, claim }: Place,
    kind: 'ask-node' | 'ask-controller',
    signal: AbortSignal,
  ): Promise<ClaimStep | null> => {
    // A leader that was must not tear away what its successor has given to somebody.
    await world.consensus.readIndex();
    const { index } = store;
    const current = store.snapshot().csiVolumeById(volume.Namespace, volume.ID)?.Claims[claim.AllocationID];
    if (!leads || signal.aborted || current?.Fence !== claim.Fence || current.State !== claim.State) return null;
    if (kind === 'ask-node') {
      const { Fence, ForcedReason } = claim;
      const path = await parts.paths.find(claim.NodeID, { forwarded: false });
      const order = { ...claimOnNode(volume, claim), Fence, ...(ForcedReason === '' ? {} : { ForcedReason }) };
      await path.call('ClientCSI.NodeDetach', order, { timeoutMs: NODE_DETACH_MS, signal });
      return { kind: 'node-detached', proof: 'node' };
    }
    await parts.controllers.ask('ClientCSI.ControllerDetach', volume.PluginID, {
      ExternalID: volume.ExternalID,
      ExternalNodeID: claim.ExternalNodeID,
      Secrets: (await openVolume(keeping, volume)).Secrets,
      // Not the claim's own: others on this node may have come after it, and a late order to attach must be refused after this.
      Fence: index,
    });
    return { kind: 'controller-detached' };
  };

  const forget = (key: string): void => {
    attempts.get(key)?.over.abort();
    attempts.delete(key);
  };

  const failed = async (
    { volume, claim }: Place,
    kind: 'ask-node' | 'ask-controller',
    error: unknown,
  ): Promise<{ step: ClaimStep | null; why: string }> => {
    const reason = await openVolume(keeping, volume).then(
      ({ Secrets }) => withoutSecrets(error instanceof Error ? error.message : String(error), Secrets),
      // Then nobody can tell whether what the plugin says has a secret in it.
      (why: unknown) => (why instanceof Error ? why.message : String(why)),
    );
    log.warn('a claim could not be released yet', { volume: volume.ID, alloc: claim.AllocationID, reason });
    // A person answers for it: what the controller does not do now, nobody waits for.
    if (kind === 'ask-controller' && claim.ForcedReason !== '') {
      return { step: { kind: 'controller-detached' }, why: reason };
    }
    return { step: null, why: `${askedOf(claim)}: ${reason}` };
  };

  const enter = async (steps: CsiClaimStepsCommand['steps']): Promise<void> => {
    entering++;
    try {
      await propose(world.consensus, { type: 'csi-claim-steps', steps, time: now() });
    } catch (error) {
      if (!leads) return;
      const reason = error instanceof MeshError ? error.message : String(error);
      log.warn('the step of a claim could not be recorded, will be tried again', { reason });
      alarm.set(now() + RETRY.baseMs);
    } finally {
      entering--;
      lookSoon();
    }
  };

  return {
    name: 'volume watcher',
    turns,
    begin() {
      leads = true;
      reign++;
      lookSoon();
    },
    end() {
      leads = false;
      reign++;
      for (const key of attempts.keys()) forget(key);
      alarm.set(undefined);
    },
    saw({ changes }: Commit) {
      if (changes.some(({ table }) => table === 'csi_volumes' || table === 'allocs' || table === 'nodes')) lookSoon();
    },
  };
}

/** Who is asked for what. */
const askedOf = (claim: CsiClaim): string => releaseWaitsFor({ ...claim, WaitsFor: '' });

/** The key under which whoever asks something about a volume takes turns. */
export const turnKey = ({ Namespace, ID }: { Namespace: string; ID: string }): string => `${Namespace}\0${ID}`;

const entry = ({ volume, claim }: Place, step: ClaimStep): CsiClaimStepsCommand['steps'][number] => ({
  namespace: volume.Namespace,
  volumeId: volume.ID,
  allocId: claim.AllocationID,
  fence: claim.Fence,
  step,
});
