import type { RaftTransport } from '../../../lib/server/ports.js';
import { MeshError } from '../../../lib/structs/errors.js';
import type { Random } from '../../../lib/util/random.js';
import type { SimProcess, SimTime } from './time.js';

export interface NetFaults {
  readonly loss: number;
  readonly duplicate: number;
  readonly delayMinMs: number;
  readonly delayMaxMs: number;
}

export const GOOD_NETWORK: NetFaults = { loss: 0, duplicate: 0, delayMinMs: 0.2, delayMaxMs: 1 };

interface Endpoint {
  readonly process: SimProcess;
  onMessage: (from: string, message: Uint8Array) => void;
  onSnapshot: Parameters<RaftTransport['onSnapshot']>[0];
}

/** A network that loses, doubles, delays and reorders, and is cut in single directions. */
export class SimNetwork {
  faults: NetFaults = GOOD_NETWORK;
  /** `a>b`: nothing from a reaches b. */
  readonly cut = new Set<string>();
  /** Sees everything that is sent. */
  onSend: (from: string, to: string, message: Uint8Array) => void = () => {};
  readonly #time: SimTime;
  readonly #random: Random;
  readonly #endpoints = new Map<string, Endpoint>();

  constructor(time: SimTime, random: Random) {
    this.#time = time;
    this.#random = random;
  }

  #delayMs(): number {
    const { delayMinMs, delayMaxMs } = this.faults;
    return delayMinMs + (delayMaxMs - delayMinMs) * this.#random.next() ** 3;
  }

  #isOpen(from: string, to: string): boolean {
    return !this.cut.has(`${from}>${to}`);
  }

  /** The network as a process sees it; it takes the place of an earlier one of the same name. */
  attach(id: string, process: SimProcess): RaftTransport {
    const endpoint: Endpoint = { process, onMessage() {}, onSnapshot: () => Promise.reject(new Error('nobody')) };
    this.#endpoints.set(id, endpoint);
    return {
      send: (to, message) => {
        if (process.dead) return;
        this.onSend(id, to, message);
        const copies = this.#random.next() < this.faults.duplicate ? 2 : 1;
        for (let i = 0; i < copies; i++) this.#time.after(this.#delayMs(), () => this.#deliver(id, to, message));
      },
      onMessage: (listener) => {
        endpoint.onMessage = listener;
      },
      sendSnapshot: (to, snapshot, signal) => this.#sendSnapshot(endpoint, { from: id, to }, snapshot, signal),
      onSnapshot: (receive) => {
        endpoint.onSnapshot = receive;
      },
    };
  }

  #deliver(from: string, to: string, message: Uint8Array): void {
    if (!this.#isOpen(from, to) || this.#random.next() < this.faults.loss) return;
    const endpoint = this.#endpoints.get(to);
    endpoint?.process.enter(() => endpoint.onMessage(from, message));
  }

  async #sendSnapshot(
    sender: Endpoint,
    { from, to }: { from: string; to: string },
    { head, chunks }: { head: Uint8Array; chunks: AsyncIterable<Uint8Array> },
    signal: AbortSignal,
  ): Promise<void> {
    const receiver = this.#endpoints.get(to);
    const pass = async (process: SimProcess): Promise<void> => {
      await new Promise<void>((resolve) => this.#time.after(this.#delayMs(), () => process.enter(resolve)));
      const isLost =
        !this.#isOpen(from, to) || !this.#isOpen(to, from) || receiver?.process.dead || sender.process.dead;
      if (isLost || signal.aborted) throw new MeshError('E_TIMEOUT', 'the stream broke');
    };
    async function* carried(process: SimProcess): AsyncIterable<Uint8Array> {
      for await (const chunk of chunks) {
        await pass(process);
        yield chunk;
      }
    }
    if (receiver === undefined) throw new MeshError('E_TIMEOUT', 'nobody is there');
    // A link notices after a while that nobody is at its other end; what waits for the dead would wait for ever.
    let over = false;
    const lost = new Promise<never>((_, reject) => {
      const look = (): void => {
        if (over) return;
        if (!receiver.process.dead && !signal.aborted) this.#time.after(500, look);
        else reject(new MeshError('E_TIMEOUT', 'the stream broke'));
      };
      this.#time.after(500, look);
    });
    const carry = async (): Promise<void> => {
      await pass(receiver.process);
      await receiver.onSnapshot(from, { head, chunks: carried(receiver.process) });
      await pass(sender.process);
    };
    await Promise.race([lost, carry()]).finally(() => {
      over = true;
    });
  }
}
