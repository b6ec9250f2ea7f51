import type { Entry, EntryType, Message, RaftOptions, Ready } from '../../lib/raft/index.js';
import { encodeMembership, Raft } from '../../lib/raft/index.js';
import { seededRandom } from '../../lib/util/random.js';
import { SimDisk } from './disk.js';

/** A message less its sender and receiver: `step` fills them in. */
type Loose = Message extends infer M ? (M extends Message ? Omit<M, 'from' | 'to'> : never) : never;

/** One server under the microscope: messages are stepped by hand, disk work is done at once by settle(). */
export class Machine {
  readonly disk = new SimDisk();
  raft: Raft;
  /** All that was applied. */
  readonly applied: Entry[] = [];

  constructor(setup: {
    voters?: readonly string[];
    learners?: readonly string[];
    terms?: readonly number[];
    term?: number;
    vote?: string;
  }) {
    const { voters = ['a', 'b', 'c'], learners = [], terms = [], term = 1, vote = '' } = setup;
    const first = entry(1, 1, 'config', encodeMembership({ voters, learners }));
    this.disk.append([first, ...terms.map((at, i) => entry(at, i + 2))]);
    this.disk.hardState = { term, vote, commit: 1 };
    this.raft = this.restart();
  }

  restart(options: Partial<RaftOptions> = {}): Raft {
    const { disk } = this;
    this.raft = new Raft({
      id: 'a',
      electionTicks: 10,
      heartbeatTicks: 1,
      random: seededRandom(1),
      log: disk,
      snapshots: disk,
      hardState: disk.hardState,
      applied: disk.latest()?.index ?? 0,
      ...options,
    });
    return this.raft;
  }

  step(from: string, message: Loose): this {
    this.raft.step({ ...message, from, to: 'a' } as Message);
    return this;
  }

  tick(times: number): this {
    for (let i = 0; i < times; i++) this.raft.tick();
    return this;
  }

  /** Does what ready() says until there is nothing left; returns all messages that left. */
  settle(): Message[] {
    const sent: Message[] = [];
    while (this.raft.hasReady()) {
      const ready = this.raft.ready();
      this.persist(ready);
      sent.push(...ready.messages, ...ready.messagesAfterPersist);
      this.applied.push(...ready.committed);
      this.raft.advance();
    }
    return sent;
  }

  persist(ready: Ready): void {
    if (ready.snapshot !== null) {
      this.disk.snapshot = { meta: ready.snapshot, digest: 0, register: '' };
      this.disk.reset(ready.snapshot);
    }
    if (ready.hardState !== null) this.disk.hardState = ready.hardState;
    this.disk.append(ready.entries);
  }

  /** Campaigns and gets every vote; returns the messages of the new leader. */
  elect(): Message[] {
    this.raft.campaign();
    this.settle();
    const others = this.raft.membership.voters.filter((id) => id !== 'a');
    const term = this.raft.term + 1;
    for (const id of others) this.step(id, { type: 'voteResponse', term, pre: true, granted: true });
    this.settle();
    for (const id of others) this.step(id, { type: 'voteResponse', term: this.raft.term, pre: false, granted: true });
    return this.settle();
  }

  /** A member acknowledges everything up to `match`. */
  ack(from: string, match: number): Message[] {
    return this.step(from, { type: 'appendResponse', term: this.raft.term, outcome: { ok: true, match } }).settle();
  }
}

export function entry(
  term: number,
  index: number,
  type: EntryType = 'command',
  data: Uint8Array = new Uint8Array(0),
): Entry {
  return { term, index, type, data };
}

export function command(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
