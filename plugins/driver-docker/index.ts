import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type Docker from 'dockerode';
import { decodeFields } from '../../lib/plugin/sdk/config-schema.js';
import {
  type Driver,
  DriverError,
  type DriverFingerprint,
  type DriverOptions,
  type DriverPlugin,
  type ExitResult,
  type TaskConfig,
  type TaskHandle,
} from '../../lib/plugin/sdk/driver.js';
import { signalName, signalNumber } from '../../lib/plugin/sdk/signals.js';
import type { TaskResourceUsage } from '../../lib/structs/rpc.js';
import { type DockerConfig, type DockerOptions, decodeTask, PLUGIN_FIELDS } from './config.js';
import { ALLOC_LABEL, containerName, containerOptions, OWNER_LABEL } from './container.js';
import { givenDevices } from './devices.js';
import {
  connectEngine,
  endpointOf,
  engineError,
  isUnreachable,
  reasonOf,
  statusOf,
  unreachableText,
  waitForEnd,
} from './engine.js';
import { execInContainer } from './exec.js';
import { Images } from './images.js';
import { LogCollector } from './logs.js';
import { toUsage } from './stats.js';

/** Runs containers on a Docker Engine, or on Podman's compatible socket. */
const plugin: DriverPlugin = {
  name: 'docker',
  configProblems(config) {
    const decoded = decodeFields(PLUGIN_FIELDS, config);
    return 'problems' in decoded ? decoded.problems : [];
  },
  create: (options) => new DockerDriver(options),
};
export default plugin;

const HANDLE_VERSION = 1;
const ANSWER_TIMEOUT_MS = 5_000;
const RETRY_MS = 1_000;
/** After a container's end its last lines are still under way. */
const LOG_DRAIN_MS = 10_000;
const STOP_SIGNAL = 'SIGTERM';

interface RunningTask {
  task: TaskConfig<DockerConfig>;
  containerId: string;
  logs: LogCollector | null;
  exit: Promise<ExitResult>;
  hasEnded: boolean;
  sample: Docker.ContainerStats | undefined;
}

class DockerDriver implements Driver<DockerConfig> {
  readonly name = 'docker';
  readonly capabilities = { sendSignals: true, exec: true, fsIsolation: 'image' as const };
  readonly #options: DockerOptions;
  readonly #endpoint: string;
  readonly #stateDir: string;
  readonly #log: DriverOptions['log'];
  readonly #images: Images;
  readonly #tasks = new Map<string, RunningTask>();
  /** Names of the containers that are being made. */
  readonly #starting = new Set<string>();
  readonly #closing = new AbortController();
  #engine: Promise<Docker> | undefined;
  #cores = 1;
  #hasCdi = false;

  constructor(options: DriverOptions) {
    const decoded = decodeFields(PLUGIN_FIELDS, options.config);
    if ('problems' in decoded) throw new DriverError(decoded.problems[0]?.message ?? '', { recoverable: false });
    this.#options = decoded.config;
    this.#endpoint = endpointOf(decoded.config);
    this.#stateDir = options.stateDir;
    this.#log = options.log;
    this.#images = new Images(decoded.config, this.#endpoint);
  }

  decodeConfig(config: Record<string, unknown>): ReturnType<Driver<DockerConfig>['decodeConfig']> {
    return decodeTask(config);
  }

  async fingerprint(): Promise<DriverFingerprint> {
    try {
      const engine = await this.#connect();
      const [version, info] = await inTime(Promise.all([engine.version(), engine.info()]));
      this.#cores = info.NCPU || 1;
      // Named by engines that look there: since 25, unless it is turned off.
      this.#hasCdi = (info.CDISpecDirs ?? []).length > 0;
      return {
        health: 'healthy',
        healthDescription: 'Healthy',
        attributes: {
          'driver.docker': '1',
          'driver.docker.version': version.Version,
          'driver.docker.os_type': info.OSType,
          'driver.docker.runtimes': Object.keys(info.Runtimes ?? {})
            .sort()
            .join(','),
          ...(this.#options.volumes?.enabled ? { 'driver.docker.volumes.enabled': '1' } : {}),
          ...(this.#options.allow_privileged ? { 'driver.docker.privileged.enabled': '1' } : {}),
          ...(await bridgeAddress(engine)),
        },
      };
    } catch (error) {
      const isAbsent = (error as { code?: unknown }).code === 'ENOENT';
      const healthDescription = unreachableText(error, this.#endpoint);
      return { health: isAbsent ? 'undetected' : 'unhealthy', healthDescription, attributes: {} };
    }
  }

  async startTask(
    task: TaskConfig<DockerConfig>,
    options: Parameters<Driver<DockerConfig>['startTask']>[1],
  ): Promise<TaskHandle> {
    const engine = await this.#connect();
    const devices = await givenDevices(task, { hasCdi: this.#hasCdi });
    const wanted = containerOptions(task, this.#options, { cores: this.#cores, stateDir: this.#stateDir, devices });
    await this.#images.ensure(engine, task, (message) =>
      options.onEvent({ taskId: task.id, message, annotations: { image: task.config.image } }),
    );
    throwIfAborted(options.signal);
    this.#starting.add(containerName(task));
    try {
      return await this.#createAndStart(engine, task, { wanted, signal: options.signal });
    } finally {
      this.#starting.delete(containerName(task));
    }
  }

  async #createAndStart(
    engine: Docker,
    task: TaskConfig<DockerConfig>,
    options: { wanted: Docker.ContainerCreateOptions; signal: AbortSignal },
  ): Promise<TaskHandle> {
    const container = await this.#create(engine, task, options.wanted);
    try {
      throwIfAborted(options.signal);
      await container.start();
    } catch (error) {
      await container.remove({ force: true, v: true }).catch(() => {});
      throw engineError(error, `container ${containerName(task)} cannot start`, this.#endpoint);
    }
    await mkdir(this.#stateDir, { recursive: true });
    this.#follow(engine, task, container.id);
    return { driver: this.name, version: HANDLE_VERSION, taskId: task.id, state: { containerId: container.id } };
  }

  async recoverTask(handle: TaskHandle, task: TaskConfig<DockerConfig>): Promise<void> {
    if (this.#tasks.has(handle.taskId)) return;
    const containerId = handle.state['containerId'];
    if (handle.driver !== this.name || handle.version !== HANDLE_VERSION || typeof containerId !== 'string') {
      const message = `task ${handle.taskId}: its handle (version ${handle.version}) is not one of docker's`;
      throw new DriverError(message, { recoverable: false });
    }
    const engine = await this.#connect();
    try {
      await engine.getContainer(containerId).inspect();
    } catch (error) {
      if (statusOf(error) === 404) {
        const message = `task ${handle.taskId}: its container ${containerId.slice(0, 12)} is gone`;
        throw new DriverError(message, { recoverable: false, cause: error });
      }
      // While the engine is away nothing can be said; following it waits until it is back.
      if (!isUnreachable(error)) throw engineError(error, `task ${handle.taskId}`, this.#endpoint);
    }
    await mkdir(this.#stateDir, { recursive: true });
    this.#follow(engine, task, containerId);
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
      const timeout = new AbortController();
      await Promise.race([found.exit, sleep(options.timeoutMs, undefined, { signal: timeout.signal }).catch(() => {})]);
      timeout.abort();
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
      await engine.getContainer(found.containerId).remove({ force: true, v: true });
    } catch (error) {
      if (statusOf(error) !== 404) throw engineError(error, `container of task ${taskId}`, this.#endpoint);
    }
    if (found.logs) await found.logs.forget();
    else await rm(this.#cursorPath(found.containerId), { force: true });
    this.#tasks.delete(taskId);
  }

  async signalTask(taskId: string, signal: string): Promise<void> {
    const found = this.#find(taskId);
    const name = signalName(signalNumber(signal));
    if (found.hasEnded) throw new DriverError(`task ${taskId} has ended`, { recoverable: false });
    try {
      await (await this.#connect()).getContainer(found.containerId).kill({ signal: name });
    } catch (error) {
      throw engineError(error, `signal ${name}`, this.#endpoint);
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
      throw engineError(error, `usage of task ${taskId}`, this.#endpoint);
    }
  }

  execTask(taskId: string, options: { command: string[]; tty: boolean }): Duplex {
    const { containerId } = this.#find(taskId);
    return execInContainer(this.#connect(), { containerId, ...options });
  }

  async reapUnknown(): Promise<string[]> {
    const engine = await this.#connect();
    const known = new Set([...this.#tasks.values()].map(({ containerId }) => containerId));
    const ended: string[] = [];
    try {
      const label = [`${OWNER_LABEL}=${this.#stateDir}`];
      for (const { Id, Names } of await engine.listContainers({ all: true, filters: { label } })) {
        const name = (Names[0] ?? Id).replace(/^\//, '');
        if (known.has(Id) || this.#starting.has(name)) continue;
        this.#log('warn', 'a container whose start was never recorded is removed', { container: name });
        await engine.getContainer(Id).remove({ force: true, v: true });
        await rm(this.#cursorPath(Id), { force: true });
        ended.push(`container ${name}`);
      }
      return ended;
    } catch (error) {
      throw engineError(error, 'unknown containers', this.#endpoint);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.#tasks.values()].map(({ logs }) => logs?.stop()));
    this.#tasks.clear();
  }

  #connect(): Promise<Docker> {
    this.#engine ??= connectEngine(this.#options);
    return this.#engine;
  }

  #find(taskId: string): RunningTask {
    const found = this.#tasks.get(taskId);
    if (!found) throw new DriverError(`task ${taskId} is not known to docker`, { recoverable: false });
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
        if (statusOf(error) !== 409 || attempt >= task.config.container_exists_attempts) {
          throw engineError(error, what, this.#endpoint);
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
      else throw engineError(error, `container ${containerName(task)}`, this.#endpoint);
    }
  }

  #follow(engine: Docker, task: TaskConfig<DockerConfig>, containerId: string): void {
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
          });
    const found: RunningTask = {
      task,
      containerId,
      logs,
      hasEnded: false,
      sample: undefined,
      exit: this.#awaitExit(engine, container).then(async (exit) => {
        const drained = new AbortController();
        await Promise.race([logs?.done, sleep(LOG_DRAIN_MS, undefined, { signal: drained.signal }).catch(() => {})]);
        drained.abort();
        found.hasEnded = true;
        return exit;
      }),
    };
    this.#tasks.set(task.id, found);
  }

  /** Waits for the container's end, across restarts of the engine. Never settles once the driver is closed. */
  async #awaitExit(engine: Docker, container: Docker.Container): Promise<ExitResult> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await waitForEnd(engine, container.id, signal);
        const { State } = await container.inspect();
        if (!State.Running) return toExit(State);
      } catch (error) {
        if (statusOf(error) === 404) {
          const message = 'the container was removed by somebody else';
          return { exitCode: 137, signal: 9, oomKilled: false, error: message };
        }
        await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
      }
    }
    return new Promise(() => {});
  }

  async #kill(container: Docker.Container, signal: string): Promise<void> {
    try {
      await container.kill({ signal });
    } catch (error) {
      // It ended by itself meanwhile (409), or is gone (404): what was wanted.
      if (statusOf(error) === 404 || statusOf(error) === 409) return;
      throw engineError(error, `signal ${signal}: ${reasonOf(error)}`, this.#endpoint);
    }
  }
}

/** The engine tells the end by a signal as a shell does, in the exit code alone. */
function toExit(state: { ExitCode: number; OOMKilled: boolean; Error: string }): ExitResult {
  const failed = state.Error === '' ? {} : { error: state.Error };
  return { exitCode: state.ExitCode, signal: 0, oomKilled: state.OOMKilled, ...failed };
}

/** The node's address on the engine's own bridge, by which containers reach it; an engine may have none. */
async function bridgeAddress(engine: Docker): Promise<Record<string, string>> {
  const network = await inTime(engine.getNetwork('bridge').inspect()).catch(() => undefined);
  const gateway = (network?.IPAM?.Config?.[0] as { Gateway?: string } | undefined)?.Gateway;
  return gateway ? { 'driver.docker.bridge_ip': gateway } : {};
}

async function stopSignalOf(container: Docker.Container): Promise<string> {
  const { Config } = await container.inspect().catch(() => ({ Config: {} as { StopSignal?: string } }));
  return (Config as { StopSignal?: string }).StopSignal || STOP_SIGNAL;
}

function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new DriverError('the start was called off', { recoverable: true });
}

/** An engine that accepts connections and never answers must not hold up the node's fingerprint. */
async function inTime<T>(answer: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = sleep(ANSWER_TIMEOUT_MS, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`no answer in ${ANSWER_TIMEOUT_MS / 1000} s`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([answer, late]);
  } finally {
    timer.abort();
  }
}
