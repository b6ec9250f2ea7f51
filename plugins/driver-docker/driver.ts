import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type Docker from 'dockerode';
import { bootId } from '../../lib/plugin/sdk/boot-id.js';
import {
  type Driver,
  type DriverCapabilities,
  DriverError,
  type DriverFingerprint,
  type DriverOptions,
  type ExitResult,
  type TaskConfig,
  type TaskHandle,
} from '../../lib/plugin/sdk/driver.js';
import { signalName, signalNumber } from '../../lib/plugin/sdk/signals.js';
import { waitUpTo } from '../../lib/plugin/sdk/wait-up-to.js';
import type { TaskResourceUsage } from '../../lib/structs/rpc.js';
import { addressOf } from './addresses.js';
import type { DockerConfig, DockerOptions } from './config.js';
import { containerOptions } from './container.js';
import { givenDevices } from './devices.js';
import {
  connectEngine,
  type EngineKind,
  type EnginePlace,
  engineError,
  ensureSocket,
  isUnreachable,
  placeOf,
  reasonOf,
  statusOf,
  stopSignalOf,
  takesCalls,
  unlessEnding,
  unreachableText,
} from './engine.js';
import { execInContainer } from './exec.js';
import { awaitExit } from './exit.js';
import { askEngine, type EngineFacts } from './facts.js';
import { containerFiles, hostsPath } from './files.js';
import { refuseLinksOut } from './host-paths.js';
import { ImageGc } from './image-gc.js';
import { Images, imageReference } from './images.js';
import { ALLOC_LABEL, containerName } from './labels.js';
import { unknownDrivers, whyNoOutput } from './log-config.js';
import { LogCollector } from './logs.js';
import { ensureNetwork, type NetworkHost, removeNetwork } from './networks.js';
import { PAUSED, PauseWatch } from './pauses.js';
import { Pins } from './pins.js';
import { throwIfAborted } from './refused.js';
import { toUsage } from './stats.js';
import { removeUnknown } from './unknown.js';

const HANDLE_VERSION = 1;
const IMAGE_DELAY_MS = 180_000;
const DANGLING_PERIOD_MS = 300_000;
const DANGLING_GRACE_MS = 300_000;
/** After a container's end its last lines are still under way. */
const LOG_DRAIN_MS = 10_000;

interface RunningTask {
  task: TaskConfig<DockerConfig>;
  containerId: string;
  logs: LogCollector | null;
  exit: Promise<ExitResult>;
  hasEnded: boolean;
  sample: Docker.ContainerStats | undefined;
  /** Tells a person, in its events. */
  tell: (message: string) => void;
}

type OnEvent = Parameters<Driver['startTask']>[1]['onEvent'];

/** Runs containers on an engine that speaks Docker's API. */
export class EngineDriver implements Driver<DockerConfig> {
  readonly name: string;
  readonly #kind: EngineKind;
  readonly #options: DockerOptions;
  readonly #place: EnginePlace;
  readonly #stateDir: string;
  readonly #log: DriverOptions['log'];
  readonly #images: Images;
  readonly #imageGc: ImageGc | null;
  readonly #pins: Pins;
  readonly #pauses: PauseWatch;
  /** Looks for containers that nobody knows, once in a while. */
  #sweeper: NodeJS.Timeout | undefined;
  readonly #tasks = new Map<string, RunningTask>();
  /** The containers that this driver has sent a signal. */
  readonly #signalled = new Set<string>();
  /** Names of the containers that are being made. */
  readonly #starting = new Set<string>();
  readonly #closing = new AbortController();
  #engine: Promise<Docker> | undefined;
  #facts: EngineFacts = { cores: 1, hasCdi: false, runtimes: [], logDrivers: [], volumeDrivers: [], isForeign: false };

  constructor(kind: EngineKind, config: DockerOptions, options: DriverOptions) {
    this.name = kind.name;
    this.#kind = kind;
    this.#options = config;
    this.#place = placeOf(config, kind);
    this.#stateDir = options.stateDir;
    this.#log = options.log;
    this.#images = new Images(config, this.#place);
    this.#pins = new Pins(config, this.#place, options);
    this.#pauses = new PauseWatch({
      connect: () => this.#connect(),
      stateDir: this.#stateDir,
      tell: (id, message) => [...this.#tasks.values()].find(({ containerId }) => containerId === id)?.tell(message),
    });
    const gc = config.gc;
    this.#imageGc = gc && !gc.image ? null : this.#makeImageGc(gc?.image_delay ?? IMAGE_DELAY_MS);
  }

  get capabilities(): DriverCapabilities {
    return { sendSignals: true, exec: true, fsIsolation: 'image', foreignEngine: this.#facts.isForeign };
  }

  decodeConfig(config: Record<string, unknown>): ReturnType<Driver<DockerConfig>['decodeConfig']> {
    return this.#kind.decode(config);
  }

  whyNoOutput(config: Record<string, unknown>): string {
    const decoded = this.#kind.decode(config);
    return 'config' in decoded ? whyNoOutput(decoded.config, this.#options, this.name) : '';
  }

  async fingerprint(): Promise<DriverFingerprint> {
    try {
      if (!this.#engine) await ensureSocket(this.#place);
      const { facts, attributes } = await askEngine(await this.#connect(), this.#kind, this.#options);
      this.#facts = facts;
      return { health: 'healthy', healthDescription: 'Healthy', attributes };
    } catch (error) {
      const isAbsent = (error as { code?: unknown }).code === 'ENOENT';
      const healthDescription = unreachableText(error, this.#place);
      return { health: isAbsent ? 'undetected' : 'unhealthy', healthDescription, attributes: {} };
    }
  }

  async startTask(
    task: TaskConfig<DockerConfig>,
    options: Parameters<Driver<DockerConfig>['startTask']>[1],
  ): Promise<TaskHandle> {
    const engine = await this.#connect();
    const devices = await givenDevices(task, this.#facts);
    await refuseLinksOut(task, this.#options);
    const files = await containerFiles(task, this.#stateDir);
    const { namesEach } = this.#kind;
    const machine = { ...this.#facts, namesEach, stateDir: this.#stateDir, devices, files };
    const tell = teller(task, options.onEvent);
    // What the agent does not allow is refused before anything is brought or made.
    containerOptions(task, this.#options, { ...machine, pins: new Map() });
    const image = imageReference(task.config.image);
    this.#starting.add(containerName(task));
    try {
      // Before it is looked for: from now on it is not removed.
      await this.#imageGc?.use(task.id, image, false);
      const wasBrought = await this.#images.ensure(engine, task, tell);
      if (wasBrought) await this.#imageGc?.use(task.id, image, true);
      throwIfAborted(options.signal);
      const pins = await this.#pins.take(task);
      const wanted = containerOptions(task, this.#options, { ...machine, pins });
      for (const message of unknownDrivers(task.config, this.#options, this.#facts))
        if (this.#kind.seeksPlugins) tell(message);
      return await this.#createAndStart(engine, task, { wanted, signal: options.signal, tell });
    } catch (error) {
      await this.#imageGc?.release(task.id);
      await this.#pins.release(task);
      throw await unlessEnding(error, this.#options, this.#place);
    } finally {
      this.#starting.delete(containerName(task));
    }
  }

  async #createAndStart(
    engine: Docker,
    task: TaskConfig<DockerConfig>,
    options: { wanted: Docker.ContainerCreateOptions; signal: AbortSignal; tell: RunningTask['tell'] },
  ): Promise<TaskHandle> {
    const container = await this.#create(engine, task, options.wanted);
    try {
      throwIfAborted(options.signal);
      await container.start();
    } catch (error) {
      await container.remove({ force: true, v: true }).catch(() => {});
      throw engineError(error, `container ${containerName(task)} cannot start`, this.#place);
    }
    await mkdir(this.#stateDir, { recursive: true });
    this.#follow(engine, task, { containerId: container.id, isFormerBoot: false, tell: options.tell });
    const address = await addressOf(container, task);
    const state = { containerId: container.id, bootId: bootId() };
    return { driver: this.name, version: HANDLE_VERSION, taskId: task.id, state, ...(address ? { address } : {}) };
  }

  async recoverTask(
    handle: TaskHandle,
    task: TaskConfig<DockerConfig>,
    { onEvent }: { onEvent: OnEvent } = { onEvent: () => {} },
  ): Promise<void> {
    if (this.#tasks.has(handle.taskId)) return;
    const { containerId, bootId: boot } = handle.state;
    if (handle.driver !== this.name || handle.version !== HANDLE_VERSION || typeof containerId !== 'string') {
      const message = `task ${handle.taskId}: its handle (version ${handle.version}) is not one of ${this.name}'s`;
      throw new DriverError(message, { recoverable: false });
    }
    const engine = await this.#connect();
    const tell = teller(task, onEvent);
    try {
      const { State } = await engine.getContainer(containerId).inspect();
      if (State.Paused) tell(PAUSED);
    } catch (error) {
      if (statusOf(error) === 404) {
        const message = `task ${handle.taskId}: its container ${containerId.slice(0, 12)} is gone`;
        throw new DriverError(message, { recoverable: false, cause: error });
      }
      // While the engine is away nothing can be said; following it waits until it is back.
      if (!isUnreachable(error)) throw engineError(error, `task ${handle.taskId}`, this.#place);
    }
    await mkdir(this.#stateDir, { recursive: true });
    await this.#imageGc?.use(task.id, imageReference(task.config.image), false);
    this.#follow(engine, task, { containerId, tell, isFormerBoot: typeof boot === 'string' && boot !== bootId() });
  }

  async waitTask(taskId: string): Promise<ExitResult> {
    return this.#find(taskId).exit;
  }

  async stopTask(taskId: string, options: { timeoutMs: number; signal: string }): Promise<void> {
    const found = this.#find(taskId);
    if (options.signal !== '') signalNumber(options.signal);
    if (found.hasEnded) return;
    const container = (await this.#connect()).getContainer(found.containerId);
    if (options.timeoutMs > 0) {
      const signal = options.signal || (await stopSignalOf(container));
      await this.#kill(container, signal);
      await waitUpTo(options.timeoutMs, found.exit);
    }
    if (!found.hasEnded) await this.#kill(container, 'SIGKILL');
    await found.exit;
  }

  async destroyTask(taskId: string, options: { force: boolean }): Promise<void> {
    const found = this.#tasks.get(taskId);
    if (!found) return;
    if (!found.hasEnded && !options.force) {
      throw new DriverError(`task ${taskId} is still running; stop it first`, { recoverable: false });
    }
    const engine = await this.#connect();
    try {
      if (!found.hasEnded) await this.#kill(engine.getContainer(found.containerId), 'SIGKILL');
      await found.exit;
      if (this.#options.gc?.container !== false)
        await engine.getContainer(found.containerId).remove({ force: true, v: true });
    } catch (error) {
      if (statusOf(error) !== 404) throw engineError(error, `container of task ${taskId}`, this.#place);
    }
    if (found.logs) await found.logs.forget();
    else await rm(this.#cursorPath(found.containerId), { force: true });
    await rm(hostsPath(this.#stateDir, found.task), { force: true });
    await this.#pins.release(found.task);
    this.#tasks.delete(taskId);
    this.#signalled.delete(found.containerId);
    await this.#imageGc?.release(taskId);
  }

  async signalTask(taskId: string, signal: string): Promise<void> {
    const found = this.#find(taskId);
    const name = signalName(signalNumber(signal));
    if (found.hasEnded) throw new DriverError(`task ${taskId} has ended`, { recoverable: false });
    this.#signalled.add(found.containerId);
    try {
      await (await this.#connect()).getContainer(found.containerId).kill({ signal: name });
    } catch (error) {
      throw engineError(error, `signal ${name}`, this.#place);
    }
  }

  async taskStats(taskId: string): Promise<TaskResourceUsage> {
    const found = this.#find(taskId);
    if (found.hasEnded) throw new DriverError(`task ${taskId} has ended`, { recoverable: false });
    try {
      const container = (await this.#connect()).getContainer(found.containerId);
      const stats = await container.stats({ stream: false, 'one-shot': true });
      const usage = toUsage(stats, found.sample);
      found.sample = stats;
      return usage;
    } catch (error) {
      throw engineError(error, `usage of task ${taskId}`, this.#place);
    }
  }

  execTask(taskId: string, options: { command: string[]; tty: boolean }): Duplex {
    const { containerId } = this.#find(taskId);
    return execInContainer(this.#connect(), { containerId, ...options });
  }

  async createNetwork(
    allocId: string,
    options: { hostname: string },
  ): Promise<{ netnsPath: string; labels: Record<string, string> }> {
    try {
      return await ensureNetwork(await this.#networkHost(), allocId, options.hostname);
    } catch (error) {
      throw await unlessEnding(error, this.#options, this.#place);
    }
  }

  async destroyNetwork(allocId: string): Promise<void> {
    await removeNetwork(await this.#networkHost(), allocId);
  }

  async reapUnknown(): Promise<string[]> {
    await this.#imageGc?.open();
    // Only now: before, what is not known here may be a task that was not taken up yet.
    this.#sweep();
    const ended = await this.#removeUnknown({ graceMs: 0, isDryRun: false });
    const known = [...this.#tasks.values()].map(({ task }) => containerName(task));
    await this.#pins.releaseOthers(new Set([...known, ...this.#starting]));
    return ended;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#pauses.close();
    clearInterval(this.#sweeper);
    await this.#imageGc?.close();
    await Promise.all([...this.#tasks.values()].map(({ logs }) => logs?.stop()));
    this.#tasks.clear();
  }

  /** Removes the containers of this agent that it does not know, as far as they are older than `graceMs`. */
  async #removeUnknown({ graceMs, isDryRun }: { graceMs: number; isDryRun: boolean }): Promise<string[]> {
    try {
      if (!this.#engine) await ensureSocket(this.#place);
      const engine = await this.#connect();
      return await removeUnknown(engine, {
        stateDir: this.#stateDir,
        isKnown: (id, name) =>
          this.#starting.has(name) || [...this.#tasks.values()].some(({ containerId }) => containerId === id),
        keepsEnded: this.#options.gc?.container === false,
        graceMs,
        isDryRun,
        log: this.#log,
        forget: (id) => rm(this.#cursorPath(id), { force: true }),
      });
    } catch (error) {
      throw engineError(error, 'unknown containers', this.#place);
    }
  }

  #sweep(): void {
    const dangling = this.#options.gc?.dangling_containers;
    if (dangling?.enabled === false || this.#sweeper) return;
    const graceMs = dangling?.creation_grace ?? DANGLING_GRACE_MS;
    this.#sweeper = setInterval(() => {
      this.#removeUnknown({ graceMs, isDryRun: dangling?.dry_run ?? false }).catch((error) => {
        this.#log('debug', 'containers that nobody knows cannot be looked for', { error: reasonOf(error) });
      });
    }, dangling?.period ?? DANGLING_PERIOD_MS);
    this.#sweeper.unref();
  }

  #makeImageGc(delayMs: number): ImageGc {
    return new ImageGc({
      delayMs,
      path: join(this.#stateDir, 'images.json'),
      log: this.#log,
      remove: async (image) => {
        const engine = await this.#connect();
        await engine.getImage(image).remove();
      },
    });
  }

  async #networkHost(): Promise<NetworkHost> {
    const engine = await this.#connect();
    const { infra_image: image, infra_image_labels: labels } = this.#options;
    const infraImage = async (): Promise<string> => {
      if (image !== '') await this.#images.ensureInfra(engine, image);
      return image;
    };
    return { engine, place: this.#place, stateDir: this.#stateDir, infraImage, labels };
  }

  #connect(): Promise<Docker> {
    this.#engine ??= connectEngine(this.#options, this.#place);
    return this.#engine;
  }

  #find(taskId: string): RunningTask {
    const found = this.#tasks.get(taskId);
    if (!found) throw new DriverError(`task ${taskId} is not known to ${this.name}`, { recoverable: false });
    return found;
  }

  #cursorPath(containerId: string): string {
    return join(this.#stateDir, `${containerId}.logs.json`);
  }

  async #create(
    engine: Docker,
    task: TaskConfig<DockerConfig>,
    wanted: Docker.ContainerCreateOptions,
  ): Promise<Docker.Container> {
    const what = `container ${containerName(task)} cannot be created`;
    for (let attempt = 0; ; attempt++) {
      try {
        return await engine.createContainer(wanted);
      } catch (error) {
        if (
          statusOf(error) !== 409 ||
          attempt >= (task.config.container_exists_attempts || this.#options.container_exists_attempts)
        ) {
          throw engineError(error, what, this.#place);
        }
      }
      // A crash between a start and the record of its handle leaves a container that nobody knows.
      await this.#removeForgotten(engine, task);
    }
  }

  async #removeForgotten(engine: Docker, task: TaskConfig<DockerConfig>): Promise<void> {
    const container = engine.getContainer(containerName(task));
    try {
      const found = await container.inspect();
      if (found.Config.Labels?.[ALLOC_LABEL] !== task.allocId) {
        const message = `a container named ${containerName(task)} exists that this agent did not make; remove it`;
        throw new DriverError(message, { recoverable: false });
      }
      this.#log('warn', 'an unknown earlier container of the task is removed', { task: task.id, container: found.Id });
      await container.remove({ force: true, v: true });
      await rm(this.#cursorPath(found.Id), { force: true });
    } catch (error) {
      // Removed meanwhile, or its removal is under way.
      if (statusOf(error) === 404 || statusOf(error) === 409) await sleep(100);
      else throw engineError(error, `container ${containerName(task)}`, this.#place);
    }
  }

  /** `isFormerBoot`: it was started before the machine was. */
  #follow(
    engine: Docker,
    task: TaskConfig<DockerConfig>,
    { containerId, isFormerBoot, tell }: { containerId: string; isFormerBoot: boolean; tell: RunningTask['tell'] },
  ): void {
    const container = engine.getContainer(containerId);
    const logs =
      task.logsDisabled || this.#options.disable_log_collection
        ? null
        : new LogCollector({
            container,
            task,
            tty: task.config.tty,
            cursorPath: this.#cursorPath(containerId),
            log: this.#log,
            tell,
          });
    const found: RunningTask = {
      task,
      containerId,
      logs,
      hasEnded: false,
      sample: undefined,
      tell,
      exit: awaitExit({
        engine,
        container,
        isFormerBoot,
        kind: this.#kind,
        isSignalled: () => this.#signalled.has(containerId),
        isServing: () => takesCalls(this.#options, this.#place),
        signal: this.#closing.signal,
      }).then(async (exit) => {
        await waitUpTo(LOG_DRAIN_MS, logs?.done);
        found.hasEnded = true;
        return exit;
      }),
    };
    this.#tasks.set(task.id, found);
    this.#pauses.open();
  }

  async #kill(container: Docker.Container, signal: string): Promise<void> {
    this.#signalled.add(container.id);
    try {
      await container.kill({ signal });
    } catch (error) {
      // It ended by itself meanwhile (409, which Podman says in words), or is gone (404): what was wanted.
      if (statusOf(error) === 404 || statusOf(error) === 409 || /only kill running/.test(reasonOf(error))) return;
      throw engineError(error, `signal ${signal}: ${reasonOf(error)}`, this.#place);
    }
  }
}

function teller(task: TaskConfig<DockerConfig>, onEvent: OnEvent): RunningTask['tell'] {
  return (message) => onEvent({ taskId: task.id, message, annotations: { image: task.config.image } });
}
