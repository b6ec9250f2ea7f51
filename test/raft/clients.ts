import type { Entry } from '../../lib/raft/index.js';
import type { RegisterInput, RegisterOperation } from '../support/register-history.js';

/** What the clients of a simulated cluster need to see of a server. */
interface Replica {
  readonly id: string;
  readonly applied: number;
  /** The register of all clients, as this server has it. */
  readonly register: string;
}

interface Open {
  readonly at: number;
  readonly server: string;
  /** Of a write its place in the log, of a read the index it waits for (null: not yet told). */
  index: number | null;
  readonly term: number;
}

/** Clients that write and read one register through any server, and keep the history of what they were told. */
export class Clients {
  readonly #history: RegisterOperation[] = [];
  readonly #writes = new Set<Open>();
  /** By context. */
  readonly #reads = new Map<number, Open>();
  /** Every begin and every end has an instant of its own. */
  #clock = 0;
  #written = 0;

  /** Everything that happened; what is still open has an unknown outcome. */
  get history(): readonly RegisterOperation[] {
    return this.#history;
  }

  /** The value for the next write: none is written twice. */
  nextValue(): string {
    this.#written++;
    return String(this.#written);
  }

  /** A server took a proposal. */
  beganWrite(server: string, value: string, place: { index: number; term: number }): void {
    const at = this.#begin(server, { key: 'x', type: 'write', value });
    this.#writes.add({ at, server, ...place });
  }

  beganRead(server: string, context: number): void {
    const at = this.#begin(server, { key: 'x', type: 'read' });
    this.#reads.set(context, { at, server, index: null, term: 0 });
  }

  #begin(client: string, input: RegisterInput): number {
    this.#clock++;
    return this.#history.push({ client, input, beganAt: this.#clock, outcome: { kind: 'unknown' } }) - 1;
  }

  #end({ at }: Open, outcome: { output: string } | 'failed'): void {
    this.#clock++;
    const operation = this.#history[at] as RegisterOperation;
    this.#history[at] = {
      ...operation,
      outcome:
        outcome === 'failed' ? { kind: 'failed' } : { kind: 'done', endedAt: this.#clock, output: outcome.output },
    };
  }

  /** A server applied an entry: whoever wrote through it is answered. Another entry in its place: the write is gone. */
  applied(server: Replica, entry: Entry): void {
    for (const write of this.#writes) {
      if (write.server !== server.id || write.index !== entry.index) continue;
      this.#writes.delete(write);
      this.#end(write, write.term === entry.term ? { output: '' } : 'failed');
    }
  }

  /** A read may be answered once so much is applied. */
  mayRead(context: number, index: number): void {
    const read = this.#reads.get(context);
    if (read !== undefined) read.index = index;
  }

  answerReads(server: Replica): void {
    for (const [context, read] of this.#reads) {
      if (read.server !== server.id || read.index === null || read.index > server.applied) continue;
      this.#reads.delete(context);
      this.#end(read, { output: server.register });
    }
  }

  /** Nobody will be answered by this server any more. */
  lost(server: string): void {
    for (const write of this.#writes) if (write.server === server) this.#writes.delete(write);
    for (const [context, read] of this.#reads) if (read.server === server) this.#reads.delete(context);
  }
}
