import type { AutopilotConfiguration } from '../../structs/operator.js';
import type { Millis } from '../../util/clock.js';
import { isHealthy, Memory } from './memory.js';
import { type Reason, reasonsFor } from './reasons.js';
import { type Action, nextAction } from './step.js';
import { chooseTarget } from './target.js';
import { limitsOf, type View } from './view.js';

/** What comes of one look at the servers. */
export interface Decision {
  /** At most one: the next look comes when it is done. */
  readonly action: Action | null;
  /** Why each server is what it is, by id. */
  reasons(): ReadonlyMap<string, Reason>;
  /** Which servers are healthy, and for how long, by id; the others are not. */
  readonly healthyMs: ReadonlyMap<string, Millis>;
}

/**
 * Who serves. Pure: views of the servers come in, decisions go out, and what was so since when is remembered in between.
 *
 *     mesh member ──standby──▶ learner ──promote──▶ voter      1 or 2 able servers: 1 voter · 3 or 4: 3 · 5 and more: 5
 *                 ◀─release───         ◀──demote───
 */
export class Autopilot {
  readonly #memory = new Memory();

  /** Looks, and decides the next change. Never one that leaves the group without a majority that answers. */
  decide(view: View, config: AutopilotConfiguration, now: Millis): Decision {
    const limits = limitsOf(config);
    this.#memory.look(view, limits, now);
    const scene = { view, limits, memory: this.#memory };
    const target = chooseTarget(scene);
    const action = nextAction(scene, target);
    const healthy = view.servers.filter((server) => isHealthy(server, view, limits));
    return {
      action,
      reasons: () => reasonsFor(scene, target, action),
      healthyMs: new Map(healthy.map(({ id }) => [id, this.#memory.healthyMs(id)])),
    };
  }

  /** Leadership ended: the next one begins anew. */
  forget(): void {
    this.#memory.forget();
  }
}
