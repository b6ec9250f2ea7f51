import { isDeepStrictEqual } from 'node:util';
import type { Driver, DriverFingerprint } from '../plugin/sdk/driver.js';
import type { DriverInfo, Node, NodeDeviceResource } from '../structs/node.js';
import type { Millis } from '../util/clock.js';
import type { Log } from '../util/log.js';
import type { ClientConfig } from './config.js';
import { askDriver, DRIVER_PERIOD_MS, driverInfo } from './fingerprint/driver.js';
import type { Facts, Fingerprint } from './fingerprint/fact.js';
import type { NodeIdentity } from './identity.js';
import { buildNode } from './node.js';
import { sleep, type Timers } from './timers.js';

/** The node is told to the servers without a driver that needs longer than this for its first answer. */
const DRIVER_PATIENCE_MS: Millis = 200;

export interface FingerprinterOptions {
  identity: NodeIdentity;
  config: () => ClientConfig;
  httpAddr: string;
  version: string;
  fingerprints: readonly Fingerprint[];
  drivers: Readonly<Record<string, Driver>>;
  devices: () => NodeDeviceResource[] | null;
  meta: () => Record<string, string>;
  hostVolumes: () => NonNullable<Node['HostVolumes']>;
  csi: () => { controllers: Node['CSIControllerPlugins']; nodes: Node['CSINodePlugins'] };
  timers: Timers;
  log: Log;
  /** Hears that the node is not what it was. */
  onChange: () => void;
}

/** Finds out about the machine at the start and keeps looking at what may change. */
export class Fingerprinter {
  private readonly options: FingerprinterOptions;
  private readonly facts = new Map<string, Facts>();
  private readonly found = new Map<string, { fingerprint: DriverFingerprint; info: DriverInfo }>();
  private current: Node;
  private started = false;

  constructor(options: FingerprinterOptions) {
    this.options = options;
    this.current = this.build();
  }

  get node(): Node {
    return this.current;
  }

  /** The first look: settles soon, whatever the drivers do. */
  async first(signal: AbortSignal): Promise<void> {
    const { fingerprints, drivers, timers } = this.options;
    const patience = new AbortController();
    const asked = Object.values(drivers).map((driver) => this.lookAtDriver(driver));
    await Promise.all([
      ...fingerprints.filter(({ slow }) => !slow).map((fingerprint) => this.look(fingerprint)),
      Promise.race([
        Promise.all(asked).then(() => patience.abort()),
        sleep(timers, DRIVER_PATIENCE_MS, signal, patience.signal),
      ]),
    ]);
    this.current = this.build();
    this.tellNetwork(null);
    this.started = true;
  }

  /** The agent was told to reload: looks at once at what a person may have changed. */
  async reload(): Promise<void> {
    this.rebuild();
    const { fingerprints } = this.options;
    await Promise.all(fingerprints.filter(({ onReload }) => onReload).map((fingerprint) => this.look(fingerprint)));
    this.rebuild();
  }

  /** Builds the node anew: its config has been reloaded, or its devices have changed. */
  rebuild(): void {
    const next = this.build();
    if (isDeepStrictEqual(next, this.current)) return;
    const before = this.current;
    this.current = next;
    if (!this.started) return;
    this.tellNetwork(before);
    this.options.onChange();
  }

  /** Says which address others reach this node's tasks at, and why it is that one. */
  private tellNetwork(before: Node | null): void {
    const [address, was] = [this.current, before].map((node) => node?.Attributes['unique.network.ip-address']);
    if (address === was && before !== null) return;
    const { log } = this.options;
    const fields = was === undefined ? {} : { before: was };
    const { 'unique.network.interface': device, 'unique.network.reason': why } = this.current.Attributes;
    if (address === undefined) log.warn('this node has no address for ports of tasks', { why, ...fields });
    if (address !== undefined) log.info('ports of tasks are at', { address, interface: device, why, ...fields });
  }

  /** Looks again at what may change, until `signal` is aborted. */
  async watch(signal: AbortSignal): Promise<void> {
    const { fingerprints, drivers } = this.options;
    const loop = async (periodMs: Millis, look: () => Promise<void>): Promise<void> => {
      while (await sleep(this.options.timers, periodMs, signal)) {
        await look();
        this.rebuild();
      }
    };
    await Promise.all([
      ...fingerprints.filter(({ slow }) => slow).map((one) => this.look(one).then(() => this.rebuild())),
      ...fingerprints.map((one) => (one.periodMs === null ? undefined : loop(one.periodMs, () => this.look(one)))),
      ...Object.values(drivers).map((driver) => loop(DRIVER_PERIOD_MS, () => this.lookAtDriver(driver))),
    ]);
  }

  private async look(fingerprint: Fingerprint): Promise<void> {
    const { config, httpAddr, version, log } = this.options;
    try {
      const before = this.facts.get(fingerprint.name);
      const facts = await fingerprint.run({ config: config(), httpAddr, version, ...(before && { before }) });
      this.facts.set(fingerprint.name, facts);
      for (const warning of facts.warnings ?? []) if (!before?.warnings?.includes(warning)) log.warn(warning);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      log.warn('fingerprint failed', { fingerprint: fingerprint.name, why });
    }
  }

  private async lookAtDriver(driver: Driver): Promise<void> {
    const fingerprint = await askDriver(driver);
    const before = this.found.get(driver.name);
    if (before && isDeepStrictEqual(before.fingerprint, fingerprint)) return;
    const info = driverInfo(driver.name, fingerprint, this.options.timers.now());
    this.found.set(driver.name, { fingerprint, info });
    const { health, healthDescription } = fingerprint;
    // One that was never there is no news.
    if (health !== 'undetected' || (before && before.fingerprint.health !== 'undetected'))
      this.options.log.info('driver', { driver: driver.name, health, why: healthDescription });
    if (this.started) this.rebuild();
  }

  private build(): Node {
    const { identity, config, httpAddr, fingerprints, devices, meta, csi, hostVolumes } = this.options;
    // In the order of the list, so that what comes later wins whichever was found first.
    const facts = fingerprints.flatMap(({ name }) => this.facts.get(name) ?? []);
    const drivers = Object.fromEntries([...this.found].map(([name, { info }]) => [name, info]));
    return buildNode({
      identity,
      config: config(),
      httpAddr,
      facts,
      drivers,
      devices: devices(),
      meta: meta(),
      csi: csi(),
      hostVolumes: hostVolumes(),
    });
  }
}
