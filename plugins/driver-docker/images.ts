import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type Docker from 'dockerode';
import { DriverError, type TaskConfig } from '../../lib/plugin/sdk/driver.js';
import { findAuth, registryOf } from './auth.js';
import { type DockerConfig, type DockerOptions, decodeTask } from './config.js';
import { type EnginePlace, engineError, reasonOf, statusOf } from './engine.js';

const PULL_TIMEOUT_MS = 300_000;
const PROGRESS_INTERVAL_MS = 5_000;

type Say = (message: string) => void;
type Ask = (abortSignal: AbortSignal) => Promise<NodeJS.ReadableStream>;

interface Pull {
  done: Promise<void>;
  listeners: Set<Say>;
}

/** Brings images to the engine; tasks that need the same one at the same time share one pull. */
export class Images {
  readonly #options: DockerOptions;
  readonly #place: EnginePlace;
  readonly #pulls = new Map<string, Pull>();

  constructor(options: DockerOptions, place: EnginePlace) {
    this.#options = options;
    this.#place = place;
  }

  /**
   * Makes sure that the task's image is there; true when it was not there before. An image with a tag of its own that is
   * present is not asked for again.
   */
  async ensure(engine: Docker, task: TaskConfig<DockerConfig>, say: Say): Promise<boolean> {
    const { image, load, force_pull } = task.config;
    const reference = imageReference(image);
    const wasPresent = await this.#isPresent(engine, reference);
    if (load !== '') await this.#load(engine, join(task.localDir, load), load);
    else if (force_pull || isMoving(reference) || !wasPresent)
      await this.#share(engine, { ...task.config, image: reference }, { say, limit: 'image_pull_timeout' });
    return !wasPresent;
  }

  /** Makes sure that an image is there which no task names. */
  async ensureInfra(engine: Docker, image: string): Promise<void> {
    if (await this.#isPresent(engine, image)) return;
    const { infra_image_pull_timeout: limitMs } = this.#options;
    const decoded = decodeTask({ image, image_pull_timeout: limitMs / 1000 });
    if ('problems' in decoded) throw new DriverError(`infra_image: ${image} is no image`, { recoverable: false });
    const limit = limitMs > 0 ? 'infra_image_pull_timeout' : 'image_pull_timeout';
    await this.#share(engine, decoded.config, { say: () => {}, limit });
  }

  async #isPresent(engine: Docker, reference: string): Promise<boolean> {
    try {
      await engine.getImage(reference).inspect();
      return true;
    } catch (error) {
      if (statusOf(error) === 404) return false;
      throw engineError(error, `image "${reference}"`, this.#place);
    }
  }

  async #load(engine: Docker, path: string, name: string): Promise<void> {
    try {
      await this.#follow(() => engine.loadImage(createReadStream(path)), { timeoutMs: PULL_TIMEOUT_MS, say: () => {} });
    } catch (cause) {
      throw new DriverError(`load: the image archive ${name} cannot be loaded: ${reasonOf(cause)}`, {
        recoverable: false,
        cause,
      });
    }
  }

  /** `limit`: the key that says how long it may take. */
  async #share(engine: Docker, config: DockerConfig, { say, limit }: { say: Say; limit: string }): Promise<void> {
    // Credentials are part of the key: one task's right to an image must not become another's.
    const key = JSON.stringify([config.image, config.auth]);
    let pull = this.#pulls.get(key);
    if (!pull) {
      const listeners = new Set<Say>();
      const tell: Say = (message) => {
        for (const listener of listeners) listener(message);
      };
      pull = {
        listeners,
        done: this.#pull(engine, config, { say: tell, limit }).finally(() => this.#pulls.delete(key)),
      };
      this.#pulls.set(key, pull);
    }
    pull.listeners.add(say);
    say(`Downloading image ${config.image}`);
    try {
      await pull.done;
    } finally {
      pull.listeners.delete(say);
    }
  }

  async #pull(engine: Docker, config: DockerConfig, { say, limit }: { say: Say; limit: string }): Promise<void> {
    const reference = config.image;
    const authconfig = await findAuth(config, this.#options);
    const timeoutMs = config.image_pull_timeout || this.#options.image_pull_timeout || PULL_TIMEOUT_MS;
    try {
      const ask: Ask = (abortSignal) => engine.pull(reference, { abortSignal, ...(authconfig ? { authconfig } : {}) });
      await this.#follow(ask, { timeoutMs, limit, say });
      // An answer that is cut off ends like one that is whole.
      if (!(await this.#isPresent(engine, reference))) throw new Error('the download was cut off');
    } catch (error) {
      // A moving tag whose registry is away: what is here is better than nothing.
      if (!config.force_pull && isMoving(reference) && (await this.#isPresent(engine, reference))) {
        return say(`Image ${reference} could not be refreshed (${reasonOf(error)}); the present one is used`);
      }
      throw pullError(error, config, this.#place);
    }
  }

  /** Asks, and reads the engine's progress to its end; an error comes as its last message. */
  async #follow(ask: Ask, options: { timeoutMs: number; limit?: string; say: Say }): Promise<void> {
    const limit = new AbortController();
    const idleMs = this.#options.pull_activity_timeout;
    const stop = (why: string): void => limit.abort(new Error(why));
    const whole = setTimeout(
      () => stop(`not done in ${options.timeoutMs / 1000} s${options.limit ? ` (${options.limit})` : ''}`),
      options.timeoutMs,
    );
    const idle = setTimeout(() => stop(`no progress for ${idleMs / 1000} s (pull_activity_timeout)`), idleMs);
    const progress = new PullProgress();
    let lastSaidMs = performance.now();
    try {
      for await (const event of readEvents(await ask(limit.signal))) {
        idle.refresh();
        if (event.error) throw new Error(event.error);
        progress.hear(event);
        if (performance.now() - lastSaidMs < PROGRESS_INTERVAL_MS) continue;
        lastSaidMs = performance.now();
        options.say(progress.text(this.#place.kind.title.split(' ')[0] ?? ''));
      }
    } catch (error) {
      // What an abort throws says nothing; its reason does.
      throw limit.signal.aborted ? limit.signal.reason : error;
    } finally {
      clearTimeout(whole);
      clearTimeout(idle);
    }
  }
}

/** The engine's answer to a pull: a JSON object a line. */
async function* readEvents(answer: NodeJS.ReadableStream): AsyncGenerator<ProgressEvent> {
  let rest = '';
  for await (const chunk of answer) {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line) as ProgressEvent;
  }
  if (rest.trim() !== '') yield JSON.parse(rest) as ProgressEvent;
}

/** An image's name as the engine knows it. */
export function imageReference(image: string): string {
  return image.replace(/^(https?:\/\/|docker:\/\/)/, '');
}

/** A tag that is expected to move, so that a present image may be an old one. */
export function isMoving(reference: string): boolean {
  if (reference.includes('@')) return false;
  const name = reference.slice(reference.lastIndexOf('/') + 1);
  return !name.includes(':') || name.endsWith(':latest');
}

interface ProgressEvent {
  error?: string;
  id?: string;
  status?: string;
  progressDetail?: { current?: number; total?: number };
}

/** Sums the layers' progress up to one line for the task's events. */
class PullProgress {
  readonly #layers = new Map<string, { status: string; current: number; total: number }>();

  hear(event: ProgressEvent): void {
    // First of all the tag itself is named, which is no layer.
    if (!event.id || !event.status || event.status.startsWith('Pulling from')) return;
    const before = this.#layers.get(event.id);
    const isDownload = event.status === 'Downloading';
    this.#layers.set(event.id, {
      status: event.status,
      current: isDownload ? (event.progressDetail?.current ?? 0) : (before?.current ?? 0),
      total: isDownload ? (event.progressDetail?.total ?? 0) : (before?.total ?? 0),
    });
  }

  /** `engine`: what people call it. */
  text(engine: string): string {
    const layers = [...this.#layers.values()];
    const done = layers.filter(({ status }) => status === 'Pull complete' || status === 'Already exists').length;
    const mb = (bytes: number): string => (bytes / 1e6).toFixed(1);
    const current = layers.reduce((sum, layer) => sum + layer.current, 0);
    const total = layers.reduce((sum, layer) => sum + layer.total, 0);
    return `${engine} image pull progress: ${done}/${layers.length} layers, ${mb(current)} of ${mb(total)} MB`;
  }
}

function pullError(error: unknown, config: DockerConfig, place: EnginePlace): DriverError {
  if (error instanceof DriverError) return error;
  const { image } = config;
  const reason = reasonOf(error);
  const isRefused = /unauthorized|access denied|denied:|no basic auth credentials/i.test(reason);
  const isAbsent = isRefused || statusOf(error) === 404 || /not found|manifest unknown|invalid reference/i.test(reason);
  if (!isAbsent) return engineError(error, `image "${image}" could not be pulled`, place);
  const hint = isRefused ? `; ${authHint(config, place)}` : '';
  const message = `image "${image}" is not on this node and could not be pulled: ${reason}${hint}`;
  return new DriverError(message, { recoverable: false, cause: error });
}

function authHint({ image, auth }: DockerConfig, { kind }: EnginePlace): string {
  const registry = registryOf(image);
  if (auth && auth.username !== '') return `${registry} does not take user "${auth.username}" of its auth block for it`;
  return `give credentials for ${registry} in an auth block of the task's config, or in auth of plugin "${kind.name}" of the agent`;
}
