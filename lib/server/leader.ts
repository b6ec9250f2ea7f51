import type { Commit, StateSnapshot } from '../state/store.js';
import type { ServerWorld } from './world.js';

/** A duty of the leader: begins and ends with leadership, and sees every change of the state in between. */
export interface LeaderPart {
  readonly name: string;
  /** Leadership began; the state is the newest. */
  begin(state: StateSnapshot): void;
  /** Leadership ended: forget everything, the next leader reads the state. */
  end(): void;
  /** Called right after each apply. Must not apply anything itself; what follows is done later in its own turn. */
  saw?(commit: Commit): void;
}

export interface Leader {
  stop(): void;
}

/** Begins the parts, in order, when this server leads, and ends them in reverse when it does not any more. */
export function createLeader(world: ServerWorld, parts: readonly LeaderPart[]): Leader {
  const log = world.log.child('leader');
  let leads = false;
  let stopped = false;

  const end = (): void => {
    if (!leads) return;
    leads = false;
    for (const part of parts.toReversed()) part.end();
    log.info('leadership ended');
  };

  const begin = (): void => {
    if (leads || stopped) return;
    leads = true;
    const state = world.store.snapshot();
    for (const part of parts) part.begin(state);
    log.info('leadership began', { index: state.index });
  };

  world.consensus.onLeadership((now) => {
    if (now) begin();
    else end();
  });

  const forget = world.store.onCommit((commit) => {
    if (!leads) return;
    for (const part of parts) part.saw?.(commit);
  });

  // Another state is there: everybody begins anew with it, when the turn that brought it is over.
  const forgetRestore = world.store.onRestore(() => {
    if (!leads) return;
    end();
    world.timers.soon(() => {
      if (world.consensus.isLeader) begin();
    });
  });

  return {
    stop() {
      stopped = true;
      forget();
      forgetRestore();
      end();
    },
  };
}
