import { backoffMs } from '../../util/backoff.js';
import { type Connection, PluginCallError } from './connection.js';
import { FOREIGN_PLUGIN, launchPlugin, type PluginProgram, type RunningPlugin } from './launch.js';

const BACKOFF_BASE_MS = 500;
const BACKOFF_MAX_MS = 60_000;
/** One that lived this long counts as well: the next start comes at once again. */
const STEADY_MS = 60_000;
/** Who asks while the plugin is being started waits this long. */
const PATIENCE_MS = 10_000;
/** A connection ends a little before the process does. */
const DEATH_MS = 1_000;
const HEALTH_MS = 5_000;
/** A plugin that did not answer this often in a row is killed and started again. */
const SILENCES_MAX = 3;

/** A plugin that is up and has been set up. */
export interface PluginInstance<T> {
  readonly connection: Connection;
  /** What `setUp` gave. */
  readonly facts: T;
  readonly reattached: boolean;
  /** Aborted when the process has ended or is let go of. */
  readonly signal: AbortSignal;
}

export interface SuperviseOptions<T> {
  program: PluginProgram;
  /** Asks and tells the plugin what must be asked and told before it is used; throws when it cannot be used. */
  setUp: (connection: Connection) => Promise<T>;
  /** Hears of each new instance before anybody else may use it. */
  onUp?: (instance: PluginInstance<T>) => Promise<void>;
}

/**
 * Keeps a plugin running: starts it, starts it again with growing delays when it dies or does not answer, and says why there
 * is none. Whatever the plugin does, it costs the agent no more than this.
 *
 *   starting ──up──▶ up ──process ended──▶ waiting ──delay──▶ starting
 *      └────────── failed ────────────────────▲
 */
export class PluginSupervisor<T> {
  readonly #options: SuperviseOptions<T>;
  readonly #ending = new AbortController();
  readonly #loop: Promise<void>;
  #running: RunningPlugin | undefined;
  #instance: PluginInstance<T> | undefined;
  #problem: string | null = null;
  #cannotStart = false;
  #silences = 0;
  #waiters: (() => void)[] = [];
  #closing: 'end' | 'leave' = 'leave';

  constructor(options: SuperviseOptions<T>) {
    this.#options = options;
    this.#loop = this.#run();
  }

  /** Why the plugin cannot be used now, as the user should read it; null when it can, or has not failed yet. */
  get problem(): string | null {
    return this.#problem;
  }

  /** What the plugin said of itself when it was last up. */
  get facts(): T | undefined {
    return this.#instance?.facts;
  }

  /** The plugin, as soon as it is up; throws when it is not within `patienceMs`. */
  async instance(patienceMs = PATIENCE_MS, signal?: AbortSignal): Promise<PluginInstance<T>> {
    const end = performance.now() + patienceMs;
    while (!this.#up()) {
      if (this.#ending.signal.aborted) throw new Error(`plugin ${this.#name} is closed`);
      // One that died is back soon; one that could not be started will hardly come up while somebody waits.
      if (this.#cannotStart && this.#problem !== null) throw new Error(this.#problem);
      const leftMs = end - performance.now();
      if (leftMs <= 0 || signal?.aborted) {
        throw new Error(this.#problem ?? `plugin ${this.#name} has not started yet`);
      }
      await this.#change(leftMs, signal);
    }
    return this.#up() as PluginInstance<T>;
  }

  /** The plugin, whenever it is up; undefined once `signal` is aborted or this is closed. */
  async whenUp(signal: AbortSignal): Promise<PluginInstance<T> | undefined> {
    while (!signal.aborted && !this.#ending.signal.aborted) {
      const found = this.#up();
      if (found) return found;
      await this.#change(BACKOFF_MAX_MS, signal);
    }
    return undefined;
  }

  /** Calls the plugin as soon as it is up. When it dies of it, the call fails only once that is known: who asks again gets the next one. */
  async use<R>(call: (instance: PluginInstance<T>) => Promise<R>, signal?: AbortSignal): Promise<R> {
    const instance = await this.instance(PATIENCE_MS, signal);
    try {
      return await call(instance);
    } catch (error) {
      if (error instanceof PluginCallError && error.status === 'UNAVAILABLE') {
        await Promise.race([aborted(instance.signal), pause(DEATH_MS, this.#ending.signal)]);
      }
      throw error;
    }
  }

  /** Whether it answers; one that is only just being started, and has had no problem yet, is waited for. */
  async checkOrWait(withinMs: number): Promise<boolean> {
    if (await this.check()) return true;
    if (this.#problem !== null) return false;
    return (await this.instance(withinMs).catch(() => undefined)) !== undefined;
  }

  /** Looks whether the plugin answers at all; one that keeps silent is killed in the end. */
  async check(): Promise<boolean> {
    const running = this.#running;
    if (!running || !this.#up()) return false;
    if (await running.isServing(HEALTH_MS)) {
      this.#silences = 0;
      return true;
    }
    if (this.#running !== running) return false;
    this.#silences++;
    this.#problem = `plugin ${this.#name} does not answer`;
    this.#say('warn', `the plugin does not answer (${this.#silences} of ${SILENCES_MAX})`);
    if (this.#silences >= SILENCES_MAX) void running.stop();
    return false;
  }

  /** Lets go of the plugin: 'end' ends it, 'leave' lets it go on for the next agent. */
  async close(how: 'end' | 'leave'): Promise<void> {
    this.#closing = how;
    this.#ending.abort();
    this.#wake();
    const running = this.#running;
    if (running && how === 'end') await running.stop();
    running?.detach();
    await this.#loop;
  }

  get #name(): string {
    return this.#options.program.name;
  }

  #up(): PluginInstance<T> | undefined {
    return this.#instance?.signal.aborted === false ? this.#instance : undefined;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    let told: string | null = null;
    for (let attempt = 0; !signal.aborted; attempt++) {
      const beganMs = performance.now();
      await this.#live();
      if (signal.aborted) return;
      if (performance.now() - beganMs > STEADY_MS) attempt = 0;
      const delayMs = backoffMs({
        attempt,
        baseMs: BACKOFF_BASE_MS,
        maxMs: BACKOFF_MAX_MS,
        random: { next: Math.random },
      });
      // The same news again and again helps nobody.
      const isNews = this.#problem !== told && !this.#problem?.endsWith(FOREIGN_PLUGIN);
      const level = isNews ? 'error' : 'debug';
      told = this.#problem;
      this.#say(level, `${this.#problem}; it is started again in ${(delayMs / 1000).toFixed(1)} s`);
      this.#wake();
      await pause(delayMs, signal);
    }
  }

  /** One life of the plugin, from its start to its end. */
  async #live(): Promise<void> {
    const { program, setUp, onUp } = this.#options;
    const gone = new AbortController();
    let running: RunningPlugin;
    try {
      running = await launchPlugin(program, this.#ending.signal);
    } catch (error) {
      this.#problem = `plugin ${this.#name} ${messageOf(error)}`;
      this.#cannotStart = true;
      return;
    }
    this.#running = running;
    const ended = running.ended.then((why) => {
      gone.abort();
      return why;
    });
    try {
      if (this.#ending.signal.aborted) {
        // Closed while it was being started: nobody else will let go of it.
        if (this.#closing === 'end') await running.stop();
        return running.detach();
      }
      const facts = await setUp(running.connection);
      const instance = { connection: running.connection, facts, reattached: running.reattached, signal: gone.signal };
      await onUp?.(instance);
      this.#instance = instance;
      this.#problem = null;
      this.#cannotStart = false;
      this.#silences = 0;
      this.#say('info', running.reattached ? 'the plugin runs already and is taken up' : 'the plugin is up');
      this.#wake();
    } catch (error) {
      this.#problem = `plugin ${this.#name} cannot be used: ${messageOf(error)}`;
      this.#cannotStart = true;
      await running.stop();
      return;
    }
    const why = await Promise.race([ended, aborted(this.#ending.signal)]);
    gone.abort();
    this.#running = undefined;
    if (why !== undefined) this.#problem = `plugin ${this.#name} is not running: ${why}`;
  }

  #say(level: 'debug' | 'info' | 'warn' | 'error', message: string): void {
    const pid = this.#running?.pid;
    this.#options.program.log(level, message, pid === undefined ? {} : { pid });
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }

  #change(withinMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, withinMs);
      signal?.addEventListener('abort', done, { once: true });
      this.#waiters.push(done);
    });
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
