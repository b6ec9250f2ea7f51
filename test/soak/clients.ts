import { setTimeout as sleep } from 'node:timers/promises';
import { type Random, randomInt } from '../../lib/util/random.js';
import { jobJson } from '../support/mesh-agent.js';
import type { RegisterInput, RegisterOperation } from '../support/register-history.js';
import type { Box, FaultGroup } from './fault-group.js';

/** A client waits so long before it goes on; an answer counts whenever it comes. */
const PATIENCE_MS = 2_000;
const PAUSE_MS = 60;
const CLIENTS = 4;
const KEYS = 4;
/** New registers after so long: what nobody knows of stays open for ever, and makes the search longer. */
const KEYS_LIVE_MS = 30_000;
const JOBS = 3;
const COUNT_MAX = 3;
/** What the tasks of the jobs are. */
export const TASK: readonly [string, string] = ['/bin/sleep', '100000'];

type Outcome = RegisterOperation['outcome'];

/** What came back: a status of 0 is none. */
interface Reply {
  readonly status: number;
  readonly text: string;
}

/** Words of those who did nothing at all. */
const didNothing = ({ status, text }: Reply): boolean =>
  status === 429 || text.includes('ECONNREFUSED') || /\bno (cluster )?leader\b/i.test(text);

/**
 * Clients that use the group without a pause, through whichever server: registers in variables, written blindly, by compare-and-swap
 * and read, and jobs that must be new. They write down what they did and were told.
 */
export class SoakClients {
  readonly history: RegisterOperation[] = [];
  /** The jobs that a server said it has. */
  readonly jobs = new Set<string>();
  /** Jobs with tasks, and how many of them were asked for last, by an answer that is certain. */
  readonly wanted = new Map<string, number>();
  readonly refusals = new Map<string, number>();
  /** How many operations were answered well, by server. */
  readonly answered = new Map<string, number>();
  readonly #group: FaultGroup;
  readonly #random: Random;
  readonly #loops: Promise<void>[];
  readonly #open = new Set<Promise<unknown>>();
  #running = true;
  #next = 0;

  constructor(group: FaultGroup, random: Random) {
    this.#group = group;
    this.#random = random;
    this.#loops = [
      ...Array.from({ length: CLIENTS }, (_, i) => this.#loop(() => this.#operate(`client-${i}`))),
      this.#loop(() => this.#registerNew()),
      this.#loop(() => this.#scaleOne()),
    ];
  }

  /** Ends them; resolves when every answer has come. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#loops);
    await Promise.all(this.#open);
  }

  /** All registers there were. */
  get keys(): string[] {
    return [...new Set(this.history.map(({ input }) => input.key))];
  }

  async #loop(act: () => Promise<void>): Promise<void> {
    while (this.#running) {
      const done = act();
      this.#open.add(done);
      void done.finally(() => this.#open.delete(done));
      await Promise.race([done, sleep(PATIENCE_MS)]);
      await sleep(PAUSE_MS);
    }
  }

  #pick<T>(from: readonly T[]): T {
    return from[randomInt(this.#random, from.length)] as T;
  }

  async #ask(box: Box, method: string, path: string, body?: object): Promise<Reply> {
    const reply = await box.machine.fetch(path, { method, ...(body ? { body: JSON.stringify(body) } : {}) });
    if (reply.status === 200) this.answered.set(box.name, (this.answered.get(box.name) ?? 0) + 1);
    else if (reply.status !== 404 && reply.status !== 409) {
      const what = `${reply.status} ${reply.text.trim().slice(0, 160)}`;
      this.refusals.set(what, (this.refusals.get(what) ?? 0) + 1);
    }
    return reply;
  }

  #key(): string {
    return `soak/${Math.floor(performance.now() / KEYS_LIVE_MS)}-${randomInt(this.#random, KEYS)}`;
  }

  async #operate(client: string): Promise<void> {
    const box = this.#pick(this.#group.servers);
    const key = this.#key();
    const kind = randomInt(this.#random, 10);
    if (kind < 5) await this.read(client, box, key);
    else if (kind < 8) await this.#write(client, box, key);
    else await this.#swap(client, box, key);
  }

  /** What a register holds, and the index of that; null when nobody said. */
  async read(client: string, box: Box, key: string): Promise<{ value: string; index: number } | null> {
    const beganAt = performance.now();
    const reply = await this.#ask(box, 'GET', `/v1/var/${key}`);
    const endedAt = performance.now();
    if (reply.status !== 200 && reply.status !== 404) return null;
    const found =
      reply.status === 404
        ? { Items: { value: '' }, ModifyIndex: 0 }
        : (JSON.parse(reply.text) as { Items: { value: string }; ModifyIndex: number });
    const outcome: Outcome = { kind: 'done', endedAt, output: found.Items.value };
    this.history.push({ client, input: { key, type: 'read' }, beganAt, outcome });
    return { value: found.Items.value, index: found.ModifyIndex };
  }

  async #write(client: string, box: Box, key: string): Promise<void> {
    const value = String(this.#next++);
    await this.#put(box, { client, input: { key, type: 'write', value }, query: '' });
  }

  /** Writes over what it has just read, unless another was there first. */
  async #swap(client: string, box: Box, key: string): Promise<void> {
    const found = await this.read(client, box, key);
    if (found === null) return;
    const input: RegisterInput = { key, type: 'swap', from: found.value, to: String(this.#next++) };
    await this.#put(this.#pick(this.#group.servers), { client, input, query: `?cas=${found.index}` });
  }

  async #put(
    box: Box,
    { client, input, query }: { client: string; input: RegisterInput; query: string },
  ): Promise<void> {
    const value = input.type === 'swap' ? input.to : input.type === 'write' ? input.value : '';
    const beganAt = performance.now();
    const body = { Path: input.key, Items: { value } };
    const reply = await this.#ask(box, 'PUT', `/v1/var/${input.key}${query}`, body);
    this.history.push({ client, input, beganAt, outcome: outcomeOf(reply, input) });
  }

  async #registerNew(): Promise<void> {
    const id = `new-${this.#next++}`;
    const body = { ...jobJson(id, { count: 0 }), EnforceIndex: true, JobModifyIndex: 0 };
    const reply = await this.#ask(this.#pick(this.#group.servers), 'PUT', '/v1/jobs', body);
    if (reply.status === 200) this.jobs.add(id);
  }

  /** A job with tasks gets another count, now and then another version too, which replaces all its tasks. */
  async #scaleOne(): Promise<void> {
    await sleep(2_000);
    const id = `work-${randomInt(this.#random, JOBS)}`;
    const count = randomInt(this.#random, COUNT_MAX + 1);
    this.wanted.delete(id);
    const task = { Env: { WHEN: randomInt(this.#random, 4) === 0 ? String(this.#next++) : 'ever' } };
    const [command, argument] = TASK;
    const config = { command, args: [argument] };
    const body = jobJson(id, { count, config, task });
    const reply = await this.#ask(this.#pick(this.#group.servers), 'PUT', '/v1/jobs', body);
    if (reply.status === 200) this.wanted.set(id, count);
  }
}

function outcomeOf(reply: Reply, input: RegisterInput): Outcome {
  const endedAt = performance.now();
  const swaps = input.type === 'swap';
  if (reply.status === 200) return { kind: 'done', endedAt, output: swaps ? 'yes' : '' };
  if (swaps && reply.status === 409) return { kind: 'done', endedAt, output: 'no' };
  return didNothing(reply) ? { kind: 'failed' } : { kind: 'unknown' };
}
