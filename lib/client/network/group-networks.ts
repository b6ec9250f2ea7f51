import { stat } from 'node:fs/promises';
import type { Driver } from '../../plugin/sdk/driver.js';
import type { AllocNetworkStatus } from '../../structs/allocation.js';
import type { AllocatedPort } from '../../structs/resources.js';
import type { Millis } from '../../util/clock.js';
import type { Log } from '../../util/log.js';
import type { NetworkConfig } from '../config.js';
import { sleep, type Timers } from '../timers.js';
import { type Attachment, CniRuntime } from './cni.js';
import { findNetwork, readNetworks } from './configured.js';
import { type BridgeSettings, bridgeList, isObject, type NetworkList } from './conflist.js';
import { ensureBridgeRules, type FirewallView, findDamage, type Look, viewFirewall } from './firewall.js';
import { ensureNetns, netnsInode, netnsPath, raiseLoopback, removeNetns } from './netns.js';
import { allRulesOf, findLoss, hasRules } from './own-rules.js';
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
import { type CniResult, givenAddresses, givenMac, hostSide, networkStatus, portMappings } from './result.js';
import { Turns } from './turns.js';

/** How often it is looked whether others have flushed the firewall. */
const WATCH_MS: Millis = 15_000;
const ADD_TRIES = 3;
/** Allocations for which plugins are called at the same time: they all change one firewall, and the machine has other work. */
const ABREAST = 4;
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
  /** Hears what it is after it had to be mended. */
  onChange: (network: GroupNetwork) => Promise<void>;
  /** Hears at each look at it which namespace it is, by its inode. */
  onLook: (inode: number) => void;
}

/** What it got; `status` is null with mode "none". */
export interface GroupNetwork {
  netnsPath: string;
  /** Of the namespace: another one is another namespace. */
  inode: number | null;
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
  readonly #turns = new Turns(ABREAST);
  /** Who looks for a rule and then adds it must be alone, or there are two. */
  readonly #rules = new Turns(1);
  /** What allocations want that have a network now. */
  readonly #asks = new Map<string, NetworkAsk>();
  /** Those whose network was made anew for a reason that is still there: it is not made anew for it again. */
  readonly #hopeless = new Map<string, string>();
  /** Why those that could not be made or mended are not: it is tried again at each look. */
  readonly #failed = new Map<string, string>();
  /** How often something was asked so far: what was seen after a question can answer it. */
  #asked = 0;
  #view: { view: FirewallView; asked: number } | null = null;

  constructor(options: GroupNetworksOptions) {
    this.#options = options;
  }

  /** Makes the network, or what is missing of it; what works is left as it is. From now on it is looked after. */
  ensure(ask: NetworkAsk): Promise<GroupNetwork> {
    this.#asks.set(ask.allocId, ask);
    const since = ++this.#asked;
    return this.#turns.run(ask.allocId, () => this.#tryEnsure(ask, since));
  }

  /** Makes a network anew if it has gone with the engine that held it, or could not be mended; `onChange` of the ask hears of it. */
  async refresh(allocId: string): Promise<void> {
    const ask = this.#asks.get(allocId);
    if (!ask) return;
    if (this.#failed.has(allocId) || (await isNamespaceGone(await readRecord(allocId)))) await this.#again(ask);
  }

  /** Removes all of it. Idempotent. `mode`: what to look for where nothing is written down any more. */
  remove(allocId: string, mode = ''): Promise<void> {
    this.#asks.delete(allocId);
    this.#hopeless.delete(allocId);
    return this.#turns.run(allocId, async () => {
      this.#failed.delete(allocId);
      const record = await readRecord(allocId);
      if (record) await this.#remove(record);
      else await this.#freeAddresses({ allocId, mode, args: {} });
    });
  }

  /** Removes what allocations that are no more have left, then mends what others break, until `signal` is aborted. */
  async serve(known: (allocId: string) => boolean, signal: AbortSignal): Promise<void> {
    await this.#guard('removing leftovers', () => this.#removeLeftovers(known));
    await this.#guard('looking after networks', () => this.#mendAll());
    while (await sleep(this.#options.timers, WATCH_MS, signal)) {
      await this.#guard('looking after networks', () => this.#mendAll());
    }
  }

  async #guard(what: string, work: () => Promise<void>): Promise<void> {
    await work().catch((error: unknown) => this.#warn(`${what} failed`, error));
  }

  get #owner(): string {
    return ownerName(this.#options.stateDir());
  }

  get #runtime(): CniRuntime {
    return new CniRuntime(this.#options.config().cniPath);
  }

  async #again(ask: NetworkAsk): Promise<void> {
    const since = ++this.#asked;
    const isAsked = (): boolean => this.#asks.get(ask.allocId) === ask;
    const network = await this.#turns.run(ask.allocId, async () => (isAsked() ? this.#tryEnsure(ask, since) : null));
    if (!network) return;
    await ask.onChange(network);
    if (network.inode !== null) ask.onLook(network.inode);
  }

  async #tryEnsure(ask: NetworkAsk, since: number): Promise<GroupNetwork> {
    try {
      const network = await this.#ensure(ask, since);
      this.#failed.delete(ask.allocId);
      return network;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (this.#failed.get(ask.allocId) !== why) this.#warn('a network could not be made', error, ask.allocId);
      this.#failed.set(ask.allocId, why);
      throw error;
    }
  }

  async #ensure(ask: NetworkAsk, since: number): Promise<GroupNetwork> {
    const former = await readRecord(ask.allocId);
    const namespace = await this.#ensureNamespace(ask, former);
    const labels = namespace.kind === 'driver' ? namespace.labels : {};
    const isSame = former !== null && namespace.inode !== null && former.namespace.inode === namespace.inode;
    // The same namespace may have to be entered by another way.
    const record = isSame && former.result ? { ...former, namespace } : await this.#newRecord(ask, namespace);
    const isOther = former?.namespace.path !== namespace.path;
    if (record.list === null) {
      if (!isSame || isOther) await writeRecord(record);
      if (namespace.kind === 'own') await raiseLoopback(namespace.name);
      return { netnsPath: namespace.path, inode: namespace.inode, labels, status: null };
    }
    if (!former) await this.#freeAddresses(ask);
    // Of another namespace, or of a call that the agent did not live to finish: of no use, and it takes an address.
    if (former?.list && !(isSame && former.result)) await this.#forget(former, isSame ? namespace.path : '');
    if (record.result && isOther) await writeRecord(record);
    const made = record.result ? await this.#keep(record, since) : await this.#attach(record, ask.signal);
    const status = networkStatus(made.result ?? {});
    if (!status.ok) throw new Error(status.error);
    return { netnsPath: namespace.path, inode: namespace.inode, labels, status: status.value };
  }

  /**
   * Gives back what plugins of networks that are not ours have on disk of an allocation: its record went with a restart of the machine,
   * its address did not, and it would be kept for ever, and refused to the allocation itself. All else of it has gone.
   */
  async #freeAddresses({ allocId, mode, args }: Pick<NetworkAsk, 'allocId' | 'mode' | 'args'>): Promise<void> {
    const name = cniName(mode);
    const { networks } = name === null ? { networks: null } : await readNetworks(this.#options.config().cniConfigDir);
    const list = networks?.get(name ?? '');
    const plugins = list?.plugins.filter((plugin) => isObject(plugin['ipam'])) ?? [];
    if (!list || plugins.length === 0) return;
    const at = { containerId: allocId, netnsPath: '', ifName: IF_NAME, args, portMappings: [] };
    await this.#runtime
      .remove({ ...list, plugins }, at, null)
      .catch((error: unknown) => this.#warn('an address from before', error, allocId));
  }

  async #forget(former: NetworkRecord, path: string): Promise<void> {
    const failure = await this.#detach(former, path).catch((error: unknown) => error);
    // Of one that fails again and again the first time is enough.
    if (failure !== undefined && !this.#failed.has(former.allocId))
      this.#warn('former network', failure, former.allocId);
  }

  async #keep(record: NetworkRecord, since: number): Promise<NetworkRecord> {
    const complaint = await this.#complaint(record, since);
    if (complaint === null) this.#hopeless.delete(record.allocId);
    return complaint === null ? record : this.#mend(record, complaint);
  }

  /** Written down before it is made: an agent that dies in between leaves nothing that its next life does not find. */
  async #ensureNamespace(ask: NetworkAsk, former: NetworkRecord | null): Promise<RecordedNamespace> {
    const base = { owner: this.#owner, allocId: ask.allocId, mode: ask.mode, ifName: IF_NAME, args: ask.args };
    const empty = { ...base, list: null, bridge: null, portMappings: [], rules: [], result: null };
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
    const isBridge = ask.mode === 'bridge';
    const name = cniName(ask.mode);
    const named = name === null ? null : await findNetwork(cniConfigDir, name);
    return {
      owner: this.#owner,
      allocId: ask.allocId,
      mode: ask.mode,
      namespace,
      list: isBridge ? bridgeList(bridge) : named,
      bridge: isBridge ? bridge : null,
      ifName: IF_NAME,
      args: ask.args,
      portMappings: portMappings(ask.ports, anyAddress),
      rules: [],
      result: null,
    };
  }

  /** Calls the plugins, again when they fail: other programs change the same firewall at the same time. */
  async #attach(record: NetworkRecord, signal: AbortSignal | null, former: CniResult = {}): Promise<NetworkRecord> {
    await writeRecord(record);
    if (record.bridge) await this.#ensureRules(record.bridge);
    const list = record.list as NetworkList;
    for (let attempt = 1; ; attempt++) {
      try {
        const at = attempt === 1 ? formerAttachment(record, former) : attachment(record);
        const result = await this.#runtime.add(list, at);
        this.#view = null;
        const attached = { ...record, result, rules: await this.#rulesOf(record, result) };
        await writeRecord(attached);
        return attached;
      } catch (error) {
        if (attempt === ADD_TRIES || signal?.aborted) throw error;
        if (!this.#failed.has(record.allocId))
          this.#warn('network could not be made, will be tried again', error, record.allocId);
        await sleep(this.#options.timers, RETRY_MS * attempt, signal ?? new AbortController().signal);
      }
    }
  }

  /** What is wrong with it; null: nothing. */
  async #complaint(record: NetworkRecord, since: number): Promise<string | null> {
    const seen = this.#damage(record, await this.#look(record, since));
    if (seen !== null) return seen;
    const list = record.list as NetworkList;
    const asked = list.plugins.filter(({ type }) => (record.bridge ? type === 'bridge' : !RULE_PLUGINS.includes(type)));
    const at = attachment(record);
    const complaint = await this.#runtime.check({ ...list, plugins: asked }, at, record.result ?? {});
    return complaint?.message ?? null;
  }

  /** The firewall as it is, or was after the question: many allocations are looked at in one go. */
  async #look(record: NetworkRecord, since: number): Promise<FirewallView> {
    const { rules, rulesIpv6 } = lookFor(record);
    const known = this.#view && this.#view.asked >= since ? this.#view.view : null;
    if (known && (known.rules || !rules) && (known.rulesIpv6 || !rulesIpv6)) return known;
    const asked = this.#asked;
    const view = await viewFirewall({
      rules: rules || known?.rules != null,
      rulesIpv6: rulesIpv6 || known?.rulesIpv6 != null,
    });
    this.#view = { view, asked };
    return view;
  }

  #damage(record: NetworkRecord, view: FirewallView): string | null {
    const status = networkStatus(record.result ?? {});
    if (!status.ok || record.list === null) return null;
    const side = hostSide(record.list, record.result ?? {});
    if (!record.bridge) return findLoss(view, { ...side, rules: record.rules });
    return findDamage(view, {
      ...side,
      allocId: record.allocId,
      address: status.value.Address,
      addressIpv6: status.value.AddressIPv6,
      hasPorts: record.portMappings.length > 0,
    });
  }

  /** What the plugins of a network that is not ours did to the firewall. */
  async #rulesOf(record: NetworkRecord, result: CniResult): Promise<string[]> {
    const status = networkStatus(result);
    const look = lookFor({ ...record, result });
    if (record.bridge || !status.ok || !(look.rules || look.rulesIpv6)) return [];
    const { Address, AddressIPv6 } = status.value;
    const addresses = [`${Address}/32`, ...(AddressIPv6 === '' ? [] : [`${AddressIPv6}/128`])];
    return allRulesOf(await viewFirewall(look), [record.allocId, ...addresses]);
  }

  /** Puts lost rules back; only when that does not help, the cable is laid anew, with the same address if it is free. */
  async #mend(record: NetworkRecord, why: string): Promise<NetworkRecord> {
    const { log } = this.#options;
    const { allocId } = record;
    if (await this.#restoreRules(record)) {
      log.warn('rules of a network were gone and are back', { alloc: allocId, why });
      return record;
    }
    if (this.#hopeless.get(allocId) === why) return record;
    log.warn('a network is made anew', { alloc: allocId, why });
    await this.#detach(record, record.namespace.path).catch((error: unknown) => this.#warn('broken network', error));
    const made = await this.#attach({ ...record, result: null }, null, record.result ?? {}).catch(
      async (error: unknown) => {
        // With what it was: it is asked for the same address again.
        await writeRecord(record);
        throw error;
      },
    );
    this.#view = null;
    const still = await this.#complaint(made, this.#asked);
    if (still === null) return made;
    this.#hopeless.set(allocId, still);
    log.error('a network was made anew and is not whole', { alloc: allocId, why: still });
    return made;
  }

  #ensureRules(bridge: BridgeSettings): Promise<void> {
    return this.#rules.run(bridge.name, () => ensureBridgeRules(bridge));
  }

  async #restoreRules(record: NetworkRecord): Promise<boolean> {
    if (record.bridge) await this.#ensureRules(record.bridge);
    else if (record.rules.length === 0) return false;
    const [list, at] = [record.list as NetworkList, attachment(record)];
    try {
      await this.#runtime.addAgain(list, RULE_PLUGINS, at, record.result ?? {});
    } catch (error) {
      this.#warn('rules of a network cannot be put back', error, record.allocId);
      return false;
    }
    this.#view = null;
    return (await this.#complaint(record, this.#asked)) === null;
  }

  async #mendAll(): Promise<void> {
    const since = ++this.#asked;
    for (const ask of [...this.#asks.values()]) {
      const record = await readRecord(ask.allocId);
      if (!this.#failed.has(ask.allocId)) {
        // It is being made.
        if (!record || (record.list && !record.result)) continue;
        const damage = record.list ? this.#damage(record, await this.#look(record, since)) : null;
        if (damage === null && !(await isNamespaceGone(record))) {
          if (record.namespace.inode !== null) ask.onLook(record.namespace.inode);
          continue;
        }
      }
      // Its failure is told where it is noted down.
      await this.#again(ask).catch(() => {});
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
    const detached = await this.#takeBack(record, isThere ? namespace.path : '').catch((error: Error) => error);
    if (namespace.kind === 'own') await removeNetns(namespace.name);
    else await this.#options.drivers[namespace.driver]?.destroyNetwork?.(record.allocId, namespace.labels);
    // With its record it is found again by the next agent's look at leftovers.
    if (detached) throw detached;
    await removeRecord(record.allocId);
  }

  async #takeBack(record: NetworkRecord, path: string): Promise<void> {
    if (record.result !== null) return this.#detach(record, path);
    // Nothing ever came of it, maybe since its plugins are missing or its configuration is no good: then they will not undo it
    // either, now or later, and it must not be kept for ever.
    const first = await this.#detach(record, path).catch((error: Error) => error);
    if (!first) return;
    await sleep(this.#options.timers, RETRY_MS);
    await this.#detach(record, path).catch((error) => this.#warn('of no use, and not undone', error, record.allocId));
  }

  async #detach(record: NetworkRecord, path: string): Promise<void> {
    if (record.list) await this.#runtime.remove(record.list, { ...attachment(record), netnsPath: path }, record.result);
  }

  #warn(message: string, error: unknown, allocId?: string): void {
    const why = error instanceof Error ? error.message : String(error);
    this.#options.log.warn(message, { ...(allocId ? { alloc: allocId } : {}), why });
  }
}

function cniName(mode: string): string | null {
  return /^cni\/(.*)$/.exec(mode)?.[1] ?? null;
}

/** What of the firewall tells whether a network is whole. */
function lookFor({ bridge, list, result }: NetworkRecord): Look {
  if (bridge) return { rules: true, rulesIpv6: bridge.subnetIpv6 !== '' };
  if (!list || !hasRules(list)) return { rules: false, rulesIpv6: false };
  const status = networkStatus(result ?? {});
  return { rules: true, rulesIpv6: status.ok && status.value.AddressIPv6 !== '' };
}

function attachment(record: NetworkRecord, more: Record<string, string> = {}): Attachment {
  const { allocId, namespace, ifName, portMappings, args } = record;
  return { containerId: allocId, netnsPath: namespace.path, ifName, args: { ...args, ...more }, portMappings };
}

/** Asks for the addresses that it had; with another hardware address its neighbours would not reach it for up to a minute. */
function formerAttachment(record: NetworkRecord, former: CniResult): Attachment {
  const status = networkStatus(former);
  if (!status.ok) return attachment(record);
  const mac = givenMac(former);
  const args = { IP: status.value.Address, ...(mac === '' ? {} : { MAC: mac }) };
  return { ...attachment(record, args), ips: givenAddresses(former) };
}

/** Whether there is another namespace, or none, where this one was. */
async function isNamespaceGone(record: NetworkRecord | null): Promise<boolean> {
  if (!record) return true;
  const { namespace } = record;
  const inode =
    namespace.kind === 'own'
      ? await netnsInode(namespace.name)
      : await stat(namespace.path).then(
          ({ ino }) => ino,
          () => null,
        );
  return inode !== namespace.inode;
}
