import { stat } from 'node:fs/promises';
import type { Driver } from '../../plugin/sdk/driver.js';
import type { AllocNetworkStatus } from '../../structs/allocation.js';
import type { AllocatedPort } from '../../structs/resources.js';
import type { Millis } from '../../util/clock.js';
import type { Log } from '../../util/log.js';
import type { NetworkConfig } from '../config.js';
import { sleep, type Timers } from '../timers.js';
import { type Attachment, CniRuntime } from './cni.js';
import { findNetwork } from './configured.js';
import { bridgeList, type NetworkList } from './conflist.js';
import { ensureBridgeRules, type FirewallView, findDamage, viewFirewall } from './firewall.js';
import { ensureNetns, netnsInode, netnsPath, raiseLoopback, removeNetns } from './netns.js';
import {
  isOrphanOf,
  listRecords,
  type NetworkRecord,
  ownerName,
  type RecordedNamespace,
  readRecord,
  removeRecord,
  writeRecord,
} from './record.js';
import { hostInterfaces, networkStatus, portMappings } from './result.js';

/** How often it is looked whether others have flushed the firewall. */
const WATCH_MS: Millis = 15_000;
const ADD_TRIES = 3;
const RETRY_MS: Millis = 500;
const IF_NAME = 'eth0';
/** Those of the bridge's plugins that only add rules, and add what is missing of them when they are called again. */
const RULE_PLUGINS: readonly string[] = ['firewall', 'portmap'];

/** What an allocation wants. */
export interface NetworkAsk {
  allocId: string;
  /** 'bridge', 'none' or 'cni/NAME'. */
  mode: string;
  ports: readonly AllocatedPort[];
  hostname: string;
  /** For CNI_ARGS. */
  args: Record<string, string>;
  /** The driver that must make the namespace; null = the client does. */
  maker: Driver | null;
  signal: AbortSignal;
}

/** What it got; `status` is null with mode "none". */
export interface GroupNetwork {
  netnsPath: string;
  labels: Record<string, string>;
  status: AllocNetworkStatus | null;
}

export interface GroupNetworksOptions {
  config: () => NetworkConfig;
  stateDir: () => string | null;
  drivers: Readonly<Record<string, Driver>>;
  timers: Timers;
  log: Log;
}

/** Makes, mends and removes the networks of this node's allocations. One for each client. */
export class GroupNetworks {
  readonly #options: GroupNetworksOptions;
  /** Plugins are called for one allocation at a time: they share the bridge and the firewall's chains. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: GroupNetworksOptions) {
    this.#options = options;
  }

  /** Makes the network, or what is missing of it; what works is left as it is. */
  ensure(ask: NetworkAsk): Promise<GroupNetwork> {
    return this.#alone(() => this.#ensure(ask));
  }

  /** Removes all of it. Idempotent. */
  remove(allocId: string): Promise<void> {
    return this.#alone(async () => {
      const record = await readRecord(allocId);
      if (record) await this.#remove(record);
    });
  }

  /** Removes what allocations that are no more have left, then mends what others break, until `signal` is aborted. */
  async serve(known: (allocId: string) => boolean, signal: AbortSignal): Promise<void> {
    await this.#guard('removing leftovers', () => this.#removeLeftovers(known));
    while (await sleep(this.#options.timers, WATCH_MS, signal)) {
      await this.#guard('looking after networks', () => this.#mendAll());
    }
  }

  async #guard(what: string, work: () => Promise<void>): Promise<void> {
    await work().catch((error: unknown) => this.#warn(`${what} failed`, error));
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#last.then(work, work);
    this.#last = run.catch(() => {});
    return run;
  }

  get #owner(): string {
    return ownerName(this.#options.stateDir());
  }

  get #runtime(): CniRuntime {
    return new CniRuntime(this.#options.config().cniPath);
  }

  async #ensure(ask: NetworkAsk): Promise<GroupNetwork> {
    const former = await readRecord(ask.allocId);
    const namespace = await this.#ensureNamespace(ask, former);
    const labels = namespace.kind === 'driver' ? namespace.labels : {};
    const isSame = former !== null && namespace.inode !== null && former.namespace.inode === namespace.inode;
    if (ask.mode === 'none') {
      if (namespace.kind === 'own') await raiseLoopback(namespace.name);
      return { netnsPath: namespace.path, labels, status: null };
    }
    let record: NetworkRecord;
    if (isSame && former.result) {
      record = { ...former, namespace };
      const complaint = await this.#complaint(record);
      if (complaint !== null) record = await this.#mend(record, complaint);
    } else {
      // The namespace is another one: what the plugins keep about the former is of no use, and takes an address.
      if (former?.list) await this.#detach(former, '').catch((error: unknown) => this.#warn('former network', error));
      record = await this.#attach(await this.#newRecord(ask, namespace), ask.signal);
    }
    const status = networkStatus(record.result ?? {});
    if (!status.ok) throw new Error(status.error);
    return { netnsPath: namespace.path, labels, status: status.value };
  }

  /** Written down before it is made: an agent that dies in between leaves nothing that its next life does not find. */
  async #ensureNamespace(ask: NetworkAsk, former: NetworkRecord | null): Promise<RecordedNamespace> {
    const base = { owner: this.#owner, allocId: ask.allocId, mode: ask.mode, ifName: IF_NAME, args: ask.args };
    const empty = { ...base, list: null, portMappings: [], result: null };
    if (ask.maker?.createNetwork) {
      const made = await ask.maker.createNetwork(ask.allocId, { hostname: ask.hostname });
      const inode = (await stat(made.netnsPath)).ino;
      const namespace: RecordedNamespace = {
        kind: 'driver',
        driver: ask.maker.name,
        path: made.netnsPath,
        inode,
        labels: made.labels,
      };
      if (!former) await writeRecord({ ...empty, namespace });
      return namespace;
    }
    const name = `meshnomad-${ask.allocId}`;
    const own = { kind: 'own', name, path: netnsPath(name) } as const;
    if (!former) await writeRecord({ ...empty, namespace: { ...own, inode: null } });
    const inode = await ensureNetns(name, former?.namespace.inode ?? null);
    if (!former) await writeRecord({ ...empty, namespace: { ...own, inode } });
    return { ...own, inode };
  }

  async #newRecord(ask: NetworkAsk, namespace: RecordedNamespace): Promise<NetworkRecord> {
    const { cniConfigDir, bridge, anyAddress } = this.#options.config();
    const list =
      ask.mode === 'bridge' ? bridgeList(bridge) : await findNetwork(cniConfigDir, ask.mode.slice('cni/'.length));
    return {
      owner: this.#owner,
      allocId: ask.allocId,
      mode: ask.mode,
      namespace,
      list,
      ifName: IF_NAME,
      args: ask.args,
      portMappings: portMappings(ask.ports, anyAddress),
      result: null,
    };
  }

  /** Calls the plugins, again when they fail: other programs change the same firewall at the same time. */
  async #attach(record: NetworkRecord, signal: AbortSignal | null, address?: string): Promise<NetworkRecord> {
    await writeRecord(record);
    if (record.mode === 'bridge') await ensureBridgeRules(this.#options.config().bridge);
    const list = record.list as NetworkList;
    for (let attempt = 1; ; attempt++) {
      try {
        const at = attachment(record, attempt === 1 && address !== undefined ? { IP: address } : {});
        const attached = { ...record, result: await this.#runtime.add(list, at) };
        await writeRecord(attached);
        return attached;
      } catch (error) {
        if (attempt === ADD_TRIES || signal?.aborted) throw error;
        this.#warn('network could not be made, will be tried again', error, record.allocId);
        await sleep(this.#options.timers, RETRY_MS * attempt, signal ?? new AbortController().signal);
      }
    }
  }

  /** What is wrong with it; null: nothing. */
  async #complaint(record: NetworkRecord): Promise<string | null> {
    const { bridge } = this.#options.config();
    const isBridge = record.mode === 'bridge';
    const seen = isBridge ? this.#damage(record, await viewFirewall(bridge)) : null;
    if (seen !== null) return seen;
    const list = record.list as NetworkList;
    const asked = isBridge ? list.plugins.filter(({ type }) => !RULE_PLUGINS.includes(type)) : list.plugins;
    const at = attachment(record);
    const complaint = await this.#runtime.check({ ...list, plugins: asked }, at, record.result ?? {});
    return complaint?.message ?? null;
  }

  #damage(record: NetworkRecord, view: FirewallView): string | null {
    const status = networkStatus(record.result ?? {});
    if (!status.ok || record.list === null) return null;
    return findDamage(view, record.list.name, {
      allocId: record.allocId,
      address: status.value.Address,
      addressIpv6: status.value.AddressIPv6,
      hasPorts: record.portMappings.length > 0,
      interfaces: hostInterfaces(record.result ?? {}),
    });
  }

  /** Puts lost rules back; only when that does not help, the cable is laid anew, with the same address if it is free. */
  async #mend(record: NetworkRecord, why: string): Promise<NetworkRecord> {
    const { log } = this.#options;
    const [runtime, list, result] = [this.#runtime, record.list as NetworkList, record.result ?? {}];
    if (record.mode === 'bridge') {
      await ensureBridgeRules(this.#options.config().bridge);
      const at = attachment(record);
      const failed = await runtime.addAgain(list, RULE_PLUGINS, at, result).catch((error: Error) => error);
      if (!failed && (await this.#complaint(record)) === null) {
        log.warn('rules of a network were gone and are back', { alloc: record.allocId, why });
        return record;
      }
    }
    log.warn('a network is made anew', { alloc: record.allocId, why });
    const status = networkStatus(result);
    await this.#detach(record, record.namespace.path).catch((error: unknown) => this.#warn('broken network', error));
    return this.#attach({ ...record, result: null }, null, status.ok ? status.value.Address : undefined);
  }

  async #mendAll(): Promise<void> {
    const mine = (await listRecords()).filter(
      ({ owner, mode, result }) => owner === this.#owner && mode === 'bridge' && result,
    );
    if (mine.length === 0) return;
    const view = await viewFirewall(this.#options.config().bridge);
    for (const { allocId } of mine) {
      await this.#alone(async () => {
        // Read again: it may have been removed while others were mended.
        const record = await readRecord(allocId);
        if (!record?.result) return;
        if (this.#damage(record, view) === null) return;
        // The look is some time old: the one before it may have mended this one too.
        const why = await this.#complaint(record);
        if (why !== null) await this.#mend(record, why);
      }).catch((error: unknown) => this.#warn('a network could not be mended', error, allocId));
    }
  }

  async #removeLeftovers(known: (allocId: string) => boolean): Promise<void> {
    for (const record of await listRecords()) {
      if (!isOrphanOf(record, this.#owner) || known(record.allocId)) continue;
      this.#options.log.warn('removing the network of an allocation that is no more', { alloc: record.allocId });
      await this.remove(record.allocId).catch((error: unknown) =>
        this.#warn('a leftover stays', error, record.allocId),
      );
    }
  }

  async #remove(record: NetworkRecord): Promise<void> {
    const { namespace } = record;
    const isThere =
      namespace.kind === 'own'
        ? (await netnsInode(namespace.name)) !== null
        : await stat(namespace.path).then(
            () => true,
            () => false,
          );
    const detached = await this.#detach(record, isThere ? namespace.path : '').catch((error: Error) => error);
    if (namespace.kind === 'own') await removeNetns(namespace.name);
    else await this.#options.drivers[namespace.driver]?.destroyNetwork?.(record.allocId, namespace.labels);
    // With its record it is found again by the next agent's look at leftovers.
    if (detached) throw detached;
    await removeRecord(record.allocId);
  }

  async #detach(record: NetworkRecord, path: string): Promise<void> {
    if (record.list) await this.#runtime.remove(record.list, { ...attachment(record), netnsPath: path }, record.result);
  }

  #warn(message: string, error: unknown, allocId?: string): void {
    const why = error instanceof Error ? error.message : String(error);
    this.#options.log.warn(message, { ...(allocId ? { alloc: allocId } : {}), why });
  }
}

function attachment(record: NetworkRecord, more: Record<string, string> = {}): Attachment {
  const { allocId, namespace, ifName, portMappings, args } = record;
  return { containerId: allocId, netnsPath: namespace.path, ifName, args: { ...args, ...more }, portMappings };
}
