import { setMaxListeners } from 'node:events';
import type { DeviceProvider } from '../plugin/sdk/device.js';
import type { Driver } from '../plugin/sdk/driver.js';
import { removeTree } from '../plugin/sdk/remove-tree.js';
import { type ClientDb, createMemoryClientDb, openClientDb } from '../storage/client-db.js';
import type { Allocation } from '../structs/allocation.js';
import type { Node } from '../structs/node.js';
import type { ClientAllocUpdate } from '../structs/rpc.js';
import type { RpcCaller, RpcHandlers, RpcStreamHandlers } from '../transport/rpc.js';
import type { Millis } from '../util/clock.js';
import type { Log, LogListen } from '../util/log.js';
import type { Random } from '../util/random.js';
import type { AllocHook } from './alloc-hooks/hook.js';
import { usesHostPath } from './alloc-hooks/host-volumes.js';
import { ALLOC_HOOKS } from './alloc-hooks/index.js';
import type { AllocRunner } from './alloc-runner.js';
import { AllocStore } from './alloc-store.js';
import { AllocWatcher } from './alloc-watcher.js';
import type { ClientConfig } from './config.js';
import type { ClientContext } from './context.js';
import { ClientCsi } from './csi/client-csi.js';
import { VolumeWatch, type WatchedVolume } from './csi/watch.js';
import { Devices } from './devices.js';
import { DisconnectStop } from './disconnect-stop.js';
import { cloudFingerprint } from './fingerprint/cloud.js';
import type { Fingerprint } from './fingerprint/fact.js';
import { FINGERPRINTS } from './fingerprint/index.js';
import { Fingerprinter } from './fingerprinter.js';
import { createHandlers, createStreamHandlers } from './handlers.js';
import { TASK_HOOKS } from './hooks/index.js';
import { HostSampler } from './host-stats.js';
import { HostVolumes } from './host-volumes/host-volumes.js';
import { ensureIdentity, type NodeIdentity } from './identity.js';
import { LeaseGuard, uptimeMs } from './lease-guard.js';
import { LeaseStop } from './lease-stop.js';
import { NodeMeta } from './node-meta.js';
import { sleepSoon } from './power.js';
import { Registration } from './registration.js';
import { Separations } from './separation.js';
import { Sessions } from './sessions.js';
import { StatusSync } from './status-sync.js';
import { taskEvents } from './task-events.js';
import { sleep, systemTimers, type Timers } from './timers.js';
import { VolumeData } from './volume-data/volume-data.js';
import { VolumeLease } from './volume-lease.js';

export interface ClientOptions {
  /** The only way to the servers. */
  rpc: RpcCaller;
  /** By name, as job files say them. The client does not close them. */
  drivers: Readonly<Record<string, Driver>>;
  /** By name; the client does not close them either. */
  deviceProviders?: Readonly<Record<string, DeviceProvider>>;
  config: ClientConfig;
  /** The id of a node that has none yet; absent = a random one. */
  nodeId?: string;
  /** `host:port` of this agent's HTTP API. */
  httpAddr: string;
  version: string;
  log: Log;
  /** For who follows this agent's log from afar; absent = nobody does. */
  listen?: LogListen;
  now: () => Millis;
  random: Random;
  /** Hears whom a client may ask next, each time a server says it. */
  onServers?: (servers: string[]) => void;
  /** For tests: real timers over `now` otherwise. */
  timers?: Timers;
  /** For tests: what is found out about the machine. */
  fingerprints?: readonly Fingerprint[];
  /** For tests: what is done around an allocation. */
  allocHooks?: readonly AllocHook[];
}

/** For metrics and `agent-info`. */
export interface ClientStats {
  nodeId: string;
  registered: boolean;
  lastHeartbeatMs: Millis | null;
  heartbeatTtlMs: Millis;
  /** Allocations by client status. */
  allocs: Record<string, number>;
  /** Allocations with a state that no server has acknowledged yet. */
  unacknowledged: number;
  /** CSI volumes in use here, as their plugins described them last. */
  volumes: readonly WatchedVolume[];
}

/** How long drivers are waited for that look for tasks which nobody has recorded. */
const REAP_MAX_MS = 10_000;

/** The role that runs allocations on this machine. */
export interface Client {
  readonly nodeId: string;
  readonly handlers: RpcHandlers;
  readonly streamHandlers: RpcStreamHandlers;
  /** The node as it is told to the servers (with its SecretID: not for others). */
  node(): Node;
  /** Settles when running tasks are attached again and the node is about to be registered. */
  start(): Promise<void>;
  /** Leaves tasks running; without a stateDir it stops them all and removes their directories. */
  shutdown(): Promise<void>;
  /** Whether the allocation lies on this machine. */
  hasAlloc(allocId: string): boolean;
  /** The allocations of this machine, as they are now. */
  allocations(): Allocation[];
  /** How long no server was heard; 0 = none was since this agent began. */
  readonly silentMs: Millis;
  /** Takes over what may change while the agent runs. */
  reload(change: Partial<Pick<ClientConfig, 'hostVolumes' | 'meta' | 'reserved' | 'gc'>>): void;
  stats(): ClientStats;
}

/**
 * Makes the client. Opens its memory, so it throws MeshError E_STORAGE when the data directory belongs to another
 * version or cannot be written.
 */
export async function createClient(options: ClientOptions): Promise<Client> {
  const { stateDir } = options.config;
  const identity = await ensureIdentity(stateDir, options.random, options.nodeId);
  const db = stateDir === null ? createMemoryClientDb() : openClientDb(stateDir);
  for (const problem of db.problems) options.log.error(problem);
  return new RunningClient(options, identity, db);
}

class RunningClient implements Client {
  readonly nodeId: string;
  readonly handlers: RpcHandlers;
  readonly streamHandlers: RpcStreamHandlers;
  private readonly context: ClientContext;
  private readonly db: ClientDb;
  private readonly log: Log;
  private readonly fingerprinter: Fingerprinter;
  private readonly devices: Devices;
  private readonly meta: NodeMeta;
  private readonly csi: ClientCsi;
  private readonly hostVolumes: HostVolumes;
  private readonly volumeData: VolumeData;
  private readonly allocs: AllocStore;
  private readonly status: StatusSync;
  private readonly registration: Registration;
  private readonly separations: Separations;
  private readonly watcher: AllocWatcher;
  private readonly disconnectStop: DisconnectStop;
  private readonly leaseStop: LeaseStop;
  private readonly volumeWatch: VolumeWatch;
  private readonly ending = new AbortController();
  private readonly drivers: Readonly<Record<string, Driver>>;
  private config: ClientConfig;
  private loops: Promise<unknown>[] = [];
  private registered = false;
  private starting: Promise<void> | null = null;

  constructor(options: ClientOptions, identity: NodeIdentity, db: ClientDb) {
    const { rpc, drivers, now, random } = options;
    const timers = options.timers ?? systemTimers(now);
    const log = options.log;
    // Every loop of the client listens to it.
    setMaxListeners(0, this.ending.signal);
    this.config = options.config;
    this.drivers = drivers;
    this.db = db;
    this.log = log;
    this.nodeId = identity.nodeId;
    const { nodeId: NodeID, secretId: SecretID } = identity;
    const config = (): ClientConfig => this.config;
    const shared = { timers, random };
    this.meta = new NodeMeta({
      stateDir: options.config.stateDir,
      fixed: () => this.config.meta,
      onChange: () => this.fingerprinter.rebuild(),
      log,
    });
    this.devices = new Devices({
      providers: options.deviceProviders ?? {},
      timers,
      log: log.child('devices'),
      onChange: () => this.fingerprinter.rebuild(),
    });
    const node = (): Node => this.fingerprinter.node;
    this.hostVolumes = new HostVolumes({
      config,
      ...shared,
      log: log.child('host_volumes'),
      isUsed: (path) =>
        this.allocs.all.some((runner) => runner.finishedAtMs === null && usesHostPath(db, runner.id, path)),
      onChange: () => this.fingerprinter.rebuild(),
    });
    this.csi = new ClientCsi({
      ...shared,
      csiDir: options.config.csiDir,
      isLasting: options.config.stateDir !== null,
      outside: options.config.csiPlugins,
      db,
      rpc,
      node,
      isRunning: (id) => this.allocs.runner(id)?.isEnding === false || this.allocs.runner(id)?.isRunning === true,
      end: (id, event) => void this.allocs.runner(id)?.end(event, { afterwards: false, delayed: false, failed: true }),
      log: log.child('csi'),
      onChange: () => this.fingerprinter.rebuild(),
    });
    this.volumeData = new VolumeData({
      folder: options.config.archivesDir,
      volumes: this.hostVolumes,
      mounts: this.csi.mounts,
      rpc,
      ...identity,
      now: timers.now,
      log: log.child('volume_data'),
    });
    this.fingerprinter = new Fingerprinter({
      identity,
      config,
      httpAddr: options.httpAddr,
      version: options.version,
      fingerprints: options.fingerprints ?? [...FINGERPRINTS, ...options.config.clouds.map(cloudFingerprint)],
      drivers,
      devices: () => this.devices.resources,
      meta: () => this.meta.merged,
      hostVolumes: () => this.hostVolumes.offered,
      csi: () => ({ controllers: this.csi.plugins.infos('controller'), nodes: this.csi.plugins.infos('node') }),
      timers,
      log: log.child('fingerprint'),
      onChange: () => this.registration.refresh(),
    });
    this.status = new StatusSync({
      ...shared,
      log: log.child('status'),
      send: async (Alloc) => {
        await rpc.call(
          'Node.UpdateAlloc',
          { NodeID, SecretID, Alloc },
          { signal: this.ending.signal, timeoutMs: 30_000 },
        );
      },
    });
    const hooks = { allocHooks: options.allocHooks ?? ALLOC_HOOKS, hooks: TASK_HOOKS };
    const guard = options.config.stateDir === null ? null : new LeaseGuard(options.config.stateDir);
    const lease = leaseBefore(guard, timers.now());
    const context: ClientContext = {
      ...shared,
      lease,
      ...hooks,
      config,
      node,
      rpc,
      drivers,
      devices: this.devices,
      csi: this.csi,
      hostVolumes: this.hostVolumes,
      db,
      log,
    };
    this.context = context;
    this.allocs = new AllocStore(context, this.status);
    this.separations = new Separations({
      stateDir: options.config.stateDir,
      runners: () => this.allocs.all,
      timers,
      log: log.child('separation'),
    });
    this.registration = new Registration({
      ...shared,
      rpc,
      node,
      log: log.child('registration'),
      beatMs: () => this.disconnectStop.beatMs,
      onContact: (nowMs) => this.separations.contact(nowMs),
      onRegistered: () => this.onRegistered(),
      onServers: options.onServers ?? (() => {}),
      onLeaseRenewed: (sentMs) => lease.renewed(sentMs, timers.now()),
    });
    this.disconnectStop = new DisconnectStop({
      lastContactMs: () => this.registration.lastContactMs,
      runners: () => this.allocs.all,
      timers,
      log: log.child('disconnect'),
    });
    this.leaseStop = new LeaseStop({
      lease,
      guard,
      mounts: this.csi.mounts,
      runners: () => this.allocs.all,
      db,
      timers,
      log: log.child('lease'),
    });
    this.volumeWatch = new VolumeWatch({
      db,
      mounts: this.csi.mounts,
      timers,
      tell: (id, message) => this.allocs.runner(id)?.tell(taskEvents.setup(message)),
    });
    this.watcher = new AllocWatcher({
      ...shared,
      rpc,
      identity,
      known: () => this.allocs.known(),
      lastIndex: () => db.lastIndex,
      act: (change) => {
        this.allocs.act(change);
        this.disconnectStop.refresh();
        this.registration.hasten();
      },
      log: log.child('allocs'),
    });
    const sampler = new HostSampler();
    const handled = {
      allocDir: options.config.allocDir,
      secretId: () => identity.secretId,
      runner: (id: string) => this.allocs.runner(id),
      hostStats: async () => ({
        ...(await sampler.sample({
          allocDir: options.config.allocDir,
          totalMhz: node().NodeResources.Cpu.CpuShares,
          nowMs: timers.now(),
        })),
        DeviceStats: await this.devices.figures(),
        Separation: this.separations.last(),
      }),
      deviceFigures: () => this.devices.figures(),
      collect: (id: string | null) => this.allocs.collect(id),
      sleep: () => sleepSoon(this.config.sleepCommand, log),
      sessions: new Sessions(),
      listen: options.listen ?? (() => () => {}),
      timers,
    };
    this.handlers = {
      ...createHandlers(handled),
      ...this.meta.handlers(),
      ...this.csi.handlers(),
      ...this.hostVolumes.handlers(),
      ...this.volumeData.handlers(),
    };
    this.streamHandlers = { ...createStreamHandlers(handled), ...this.volumeData.streamHandlers() };
  }

  node(): Node {
    return this.fingerprinter.node;
  }

  start(): Promise<void> {
    this.starting ??= this.begin();
    return this.starting;
  }

  private async begin(): Promise<void> {
    const { signal } = this.ending;
    await Promise.all([this.meta.open(), this.fingerprinter.first(signal), this.devices.first(signal)]);
    this.fingerprinter.rebuild();
    if (signal.aborted) return;
    await Promise.all([this.csi.open(), this.hostVolumes.open(), this.separations.begin()]);
    await this.volumeData.open();
    this.fingerprinter.rebuild();
    // Before any server is asked: whatever it answers, the tasks are already in our hands.
    const { all } = await this.allocs.restore();
    // What is not taken up yet is not to be taken for forgotten.
    const reaped = all.then(() => this.reapUnknown());
    const answered = new AbortController();
    await Promise.race([
      reaped.finally(() => answered.abort()),
      sleep(this.context.timers, REAP_MAX_MS, answered.signal),
    ]);
    this.loops = [
      this.registration.run(signal),
      this.fingerprinter.watch(signal),
      this.devices.watch(signal),
      this.allocs.watchGarbage(signal),
      this.disconnectStop.run(signal),
      ...this.context.allocHooks.map((hook) => hook.serve?.(this.context, signal) ?? Promise.resolve()),
      this.leaseStop.run(signal),
      this.volumeWatch.run(signal),
      this.hostVolumes.watch(signal),
    ];
  }

  async shutdown(): Promise<void> {
    if (this.ending.signal.aborted) return;
    // Half a start cannot be undone: tasks would be attached behind our back.
    await this.starting?.catch(() => {});
    if (this.config.stateDir === null) {
      await this.removeAll();
    }
    this.status.close();
    this.ending.abort();
    this.allocs.release();
    // What it has mounted it takes away with its plugin.
    await this.volumeData.close();
    this.csi.close();
    await Promise.allSettled(this.loops);
    await this.separations.close();
    await this.db.close();
    if (this.config.stateDir === null) {
      for (const dir of [this.config.allocDir, this.config.archivesDir]) await removeTree(dir);
    }
  }

  hasAlloc(allocId: string): boolean {
    return this.allocs.runner(allocId) !== undefined;
  }

  allocations(): Allocation[] {
    return this.allocs.all.map((runner) => ({ ...runner.alloc, ...present(runner.report()) }));
  }

  get silentMs(): Millis {
    const { lastContactMs } = this.registration;
    return lastContactMs === null ? 0 : Math.max(0, this.context.timers.now() - lastContactMs);
  }

  reload(change: Partial<Pick<ClientConfig, 'hostVolumes' | 'meta' | 'reserved' | 'gc'>>): void {
    this.config = { ...this.config, ...change };
    void this.fingerprinter.reload();
    void this.devices.look();
    void this.hostVolumes.look();
  }

  stats(): ClientStats {
    const allocs: Record<string, number> = { pending: 0, running: 0, complete: 0, failed: 0 };
    for (const runner of this.allocs.all) {
      const { ClientStatus } = runner.report();
      allocs[ClientStatus] = (allocs[ClientStatus] ?? 0) + 1;
    }
    return {
      nodeId: this.nodeId,
      registered: this.registered,
      lastHeartbeatMs: this.registration.lastContactMs,
      heartbeatTtlMs: this.registration.heartbeatTtlMs,
      allocs,
      unacknowledged: this.status.pending,
      volumes: this.volumeWatch.volumes,
    };
  }

  /** Volumes are unmounted by tasks that must live until then. */
  private async removeAll(): Promise<void> {
    const isPlugin = (runner: AllocRunner): boolean =>
      runner.taskRunners.some(({ task }) => task.CSIPluginConfig !== null);
    const removeThose = (runners: readonly AllocRunner[]): Promise<unknown> =>
      Promise.all(runners.map((runner) => this.allocs.remove(runner.id)));
    this.allocs.close();
    await removeThose(this.allocs.all.filter((runner) => !isPlugin(runner)));
    await removeThose(this.allocs.all);
  }

  /** What an agent started and died before it wrote it down would run on for ever: nobody would ever stop it. */
  private async reapUnknown(): Promise<void> {
    for (const [name, driver] of Object.entries(this.drivers)) {
      try {
        const ended = (await driver.reapUnknown?.()) ?? [];
        if (ended.length > 0)
          this.log.warn('ended tasks that nobody had recorded', { driver: name, tasks: ended.join(', ') });
      } catch (error) {
        this.log.debug('cannot look for unrecorded tasks', {
          driver: name,
          why: error instanceof Error ? error.message : String(error),
        });
      }
    }
  }

  /** The first time the servers know this node, it begins to ask what to run and to report. */
  private onRegistered(): void {
    if (this.registered) return;
    this.registered = true;
    this.status.open();
    this.loops.push(this.watcher.run(this.ending.signal));
    this.log.info('client is ready', { node: this.nodeId });
  }
}

/** Of a report, what is part of the allocation. */
function present({ ClientStatus, ClientDescription, TaskStates, NetworkStatus, DeploymentStatus }: ClientAllocUpdate) {
  return { ClientStatus, ClientDescription, TaskStates, NetworkStatus, DeploymentStatus };
}

/** The leases as an agent before this one left them. */
function leaseBefore(guard: LeaseGuard | null, nowMs: Millis): VolumeLease {
  const note = guard?.read();
  return new VolumeLease(note ? nowMs - (uptimeMs() - note.renewedUptimeMs) : null);
}
