import type { NodeKey } from '../../structs/mesh.js';
import type { MeshClock } from '../clock.js';
import type { Connection } from '../network.js';
import type { Roster } from '../peers.js';
import { NoHello } from './handshake.js';
import { type Notices, RateLimit } from './notices.js';

/** Connections of one key: a machine that comes and goes needs a few, a broken or hostile one is held to them. */
const CONNECTS = { burst: 20, perSecond: 5 };
/** Hellos under way at a time, of everybody together. */
const GREETING_MAX = 256;
/** A member that was admitted a moment ago may be here before its name is. */
const NEWS_WAIT_MS = 1_500;
const NEWS_WAITERS_MAX = 64;

/** Why a key gets no stream. A machine that waits for approval does so on its invite's connection. */
const REFUSALS = { unknown: 'not a member', out: 'no member any more', pending: 'waits for approval' } as const;

export interface DoorOptions {
  readonly own: NodeKey;
  readonly clock: MeshClock;
  readonly roster: Roster;
  readonly notices: Notices;
  /** Says hello to a member and takes the link; rejects with the reason why not. */
  greet(connection: Connection): Promise<void>;
  linked(key: NodeKey): boolean;
  /** A live invite's key: it speaks join/1, and nothing else is served on it. */
  join(connection: Connection): void;
  /** Another machine uses this agent's own key. */
  ownKeySeen(): void;
}

/** Who may come in: decided before there is a stream, and again for each stream. */
export class Door {
  readonly #options: DoorOptions;
  readonly #connects: RateLimit;
  #greeting = 0;
  readonly #newsWaiters = new Set<() => void>();

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#connects = new RateLimit(options.clock, CONNECTS);
    options.roster.onChange(() => {
      for (const waiter of [...this.#newsWaiters]) waiter();
    });
  }

  /** For the network's firewall. */
  async admit(key: NodeKey): Promise<boolean> {
    const { own, notices } = this.#options;
    if (key === own) {
      this.#options.ownKeySeen();
      return false;
    }
    if (this.#standing(key) === 'unknown') await this.#news(key);
    const standing = this.#standing(key);
    if (standing !== 'member' && standing !== 'invite') {
      notices.say('warn', key, 'refused a connection', REFUSALS[standing]);
      return false;
    }
    if (this.#connects.take(key)) return true;
    notices.say('warn', key, 'refused a connection', 'too many of this key');
    return false;
  }

  /** For connections that the network opened. */
  open(connection: Connection): void {
    const { notices, join, greet, linked } = this.#options;
    const key = connection.remoteKey;
    const refuse = (reason: string): void => {
      connection.stream.destroy();
      notices.say('warn', key, 'dropped a connection', reason);
    };
    switch (this.#standing(key)) {
      case 'invite':
        join(connection);
        return;
      case 'member':
        if (this.#greeting >= GREETING_MAX) {
          connection.stream.destroy();
          // A whole mesh that starts at once: one line for all of them.
          notices.say(
            'warn',
            'many',
            'dropped connections',
            `${GREETING_MAX} hellos are under way; they will try again`,
          );
          return;
        }
        this.#greeting++;
        void greet(connection)
          .catch((error: Error) => {
            connection.stream.destroy();
            // Its dial was called off because another one was faster, or it is not quite here yet.
            if (!(error instanceof NoHello && linked(key))) refuse(error.message);
          })
          .finally(() => this.#greeting--);
        return;
      default:
        refuse('no member any more');
    }
  }

  #standing(key: NodeKey): 'member' | 'invite' | keyof typeof REFUSALS {
    const { roster } = this.#options;
    const status = roster.find(key)?.status;
    if (status === 'admitted') return 'member';
    if (roster.isInvite(key)) return 'invite';
    if (status === 'pending') return 'pending';
    return status === undefined ? 'unknown' : 'out';
  }

  #news(key: NodeKey): Promise<void> {
    if (this.#newsWaiters.size >= NEWS_WAITERS_MAX) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        this.#newsWaiters.delete(look);
        resolve();
      };
      const look = (): void => {
        if (this.#standing(key) !== 'unknown') done();
      };
      const cancel = this.#options.clock.setTimeout(NEWS_WAIT_MS, done);
      this.#newsWaiters.add(look);
    });
  }
}
