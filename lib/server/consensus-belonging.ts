import type { MeshError } from '../structs/errors.js';
import { noLeader, unknownOutcome } from './consensus-errors.js';
import type { Joining } from './consensus-joining.js';
import type { OwnLife } from './consensus-life.js';
import { abandonedError, becomeSoleVoter, refusalToRecover } from './consensus-recover.js';
import type { Snapshotter } from './consensus-snapshots.js';
import type { HostState } from './consensus-state.js';
import type { Stores } from './consensus-stores.js';

/** What the host of raft lets its place in the group know and do. */
export interface BelongingHost {
  state(): HostState;
  leader(): string;
  isOutside(): boolean;
  /** Resolves when nothing is being written or applied. */
  idle(): Promise<void>;
  /** Nothing that waits will come to pass here; the host is in another state from now on, if one is given. */
  giveUp(error: MeshError, state?: HostState): void;
  fail(error: unknown): void;
  /** With a new machine, from what is durable. */
  beginAnew(): void;
  /** Likewise when it runs; `applied` is how far the data goes, if something took the place of state and log. */
  goOn(applied: number | null): void;
}

interface Parts {
  readonly id: string;
  readonly stores: Stores;
  readonly snapshotter: Snapshotter;
  readonly life: OwnLife;
  readonly joining: Joining;
  readonly onAbandoned: (why: MeshError) => void;
  readonly host: BelongingHost;
}

/** How a server comes to belong to its group, and ceases to. */
export class Belonging {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** The leader has admitted this server's data. */
  async admitted(epoch: number): Promise<void> {
    const { life, host } = this.#parts;
    await life.admit(
      epoch,
      () => host.idle(),
      () => host.goOn(null),
    );
  }

  /** The group speaks to this server, which is outside of it: what was said will be said again. */
  letIn(): void {
    const { joining, host } = this.#parts;
    if (host.state().kind !== 'running' || !host.isOutside()) return;
    joining
      .letIn({ idle: () => host.idle(), goOn: (applied) => host.goOn(applied) })
      .catch((error: unknown) => host.fail(error));
  }

  /** Others know newer data of this server than what is here. */
  async outdated(): Promise<void> {
    const { life, host } = this.#parts;
    if (host.state().kind !== 'running' || !life.now.admitted || host.isOutside()) return;
    const forsaken = life.forsake();
    host.giveUp(unknownOutcome('the data of this server is not the newest'));
    await forsaken;
  }

  /** The others go on without this server, from an earlier state: what is here leads nowhere. */
  abandoned(epoch: number): void {
    const { life, host, onAbandoned } = this.#parts;
    if (host.state().kind !== 'running') return;
    const error = abandonedError({ epoch, own: life.now.epoch });
    host.giveUp(error, { kind: 'halted', error });
    void life.abandon(epoch).then(() => onAbandoned(error));
  }

  /** A person makes this server the only voter. See ConsensusGroup.recover. */
  async recover(): Promise<{ epoch: number }> {
    const { id, stores, snapshotter, life, host } = this.#parts;
    const refusal = refusalToRecover({ state: host.state(), leader: host.leader(), isOutside: host.isOutside() });
    if (refusal !== null) throw refusal;
    const error = noLeader('this server becomes the only voter');
    host.giveUp(error, { kind: 'broken', error });
    try {
      await host.idle();
      await snapshotter.idle();
      await becomeSoleVoter(stores, id);
      await life.recover();
    } catch (failure) {
      host.fail(failure);
      throw failure;
    }
    host.beginAnew();
    return { epoch: life.now.epoch };
  }
}
