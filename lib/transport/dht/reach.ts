import type { Log } from '../../util/log.js';
import type { NatReport } from '../network.js';
import type { Address } from '../tcp.js';
import { distinct, formatAddress, isUsable, recentHosts } from './addresses.js';
import { isUdpBlocked } from './blocked.js';
import { classifyNat, type Observation } from './nat.js';
import type { DhtNode } from './node.js';

const WITNESSES = 6;
/** When nobody has answered in this time, another reason for it is looked for. */
const SILENT_MS = 1_200;
/** So many are asked to reach this node unasked. */
const REACHED_BY = 3;

export interface ReachOptions {
  readonly node: DhtNode;
  /** Those with an IPv4 address. */
  readonly bootstrap: readonly Address[];
  readonly hasDht: boolean;
  readonly host: string | undefined;
  readonly advertise: readonly Address[];
  readonly log: Log;
}

/** What this node knows of its own place in the network: which NAT, which addresses, whether the DHT answers. */
export class Reach {
  readonly #options: ReachOptions;
  #seen: readonly Observation[] = [];
  #blocked = false;
  /** The public address for which it was checked whether others reach it; '' = not yet. */
  #checkedFor = '';
  #looking: Promise<void> | undefined;

  constructor(options: ReachOptions) {
    this.#options = options;
  }

  /** Asks some DHT nodes how they see this one. Calls at the same time share one answer. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  report(): NatReport {
    const found = classifyNat({ open: !this.#options.node.firewalled, seen: this.#seen });
    return {
      ...(this.#blocked ? { nat: 'blocked', publicAddress: null } : found),
      localAddresses: this.localAddresses(),
      hasIpv4: this.#options.host !== undefined || recentHosts().length > 0,
      dht: this.#seen.length > 0 ? 'answers' : this.#options.hasDht ? 'silent' : 'none',
    };
  }

  localAddresses(): Address[] {
    const { node, host, advertise } = this.#options;
    const port = node.localAddress()?.port ?? 0;
    const hosts = host === undefined ? recentHosts().map((local) => local.host) : [host];
    return distinct([...advertise, ...hosts.map((own) => ({ host: own, port }))]);
  }

  isOwn(address: Address): boolean {
    const text = formatAddress(address);
    if (this.localAddresses().some((own) => formatAddress(own) === text)) return true;
    const { node } = this.#options;
    return address.port === node.localAddress()?.port && (address.host.startsWith('127.') || this.#isPublic(address));
  }

  #isPublic(address: Address): boolean {
    return !this.#options.node.firewalled && address.host === this.#options.node.host;
  }

  async #look(): Promise<void> {
    const { node, bootstrap } = this.#options;
    const witnesses = distinct([...node.toArray({ limit: WITNESSES }), ...bootstrap]).filter(isUsable);
    if (witnesses.length === 0) {
      this.#seen = [];
      this.#blocked = false;
      return;
    }
    const asked = witnesses.slice(0, WITNESSES).map((witness) => node.ping(witness));
    const blocked = this.#blockedUnless(asked);
    const answers = await Promise.allSettled(asked);
    this.#seen = answers.flatMap((answer) =>
      answer.status === 'fulfilled' ? [{ by: plain(answer.value.from), as: plain(answer.value.to) }] : [],
    );
    if (this.#seen.length === 0) {
      this.#checkedFor = '';
      this.#setBlocked(await blocked);
      return;
    }
    this.#setBlocked(false);
    this.#notice();
  }

  /** Whether UDP is blocked, found out while the last tries of those who do not answer are still under way. */
  async #blockedUnless(answers: readonly Promise<unknown>[]): Promise<boolean> {
    let answered = false;
    const any = Promise.any(answers).then(
      () => {
        answered = true;
      },
      () => {},
    );
    await Promise.race([any, new Promise((resolve) => setTimeout(resolve, SILENT_MS).unref())]);
    // To look is no proof where somebody answers: a node of the DHT says as little to what it does not understand.
    if (answered) return false;
    const blocked = (await isUdpBlocked(this.#options.bootstrap)) && !answered;
    // Known before the answers are all given up: whoever waits for a way out need not wait for that.
    if (blocked) this.#setBlocked(true);
    return blocked;
  }

  #setBlocked(blocked: boolean): void {
    if (blocked && !this.#blocked)
      this.#options.log.warn('UDP to the internet is blocked: only the local network can be reached');
    this.#blocked = blocked;
  }

  #notice(): void {
    const { node, log } = this.#options;
    const { publicAddress } = classifyNat({ open: true, seen: this.#seen });
    const agreed = this.#seen.filter(({ as }) => as.host === publicAddress?.host).length >= 2;
    if (!publicAddress) return;
    if (agreed && !node.firewalled && node.host !== null && node.host !== publicAddress.host) {
      // hyperdht would tell others the old address for half an hour, and they would open connections into the void.
      log.info('the public address changed', { from: node.host, to: publicAddress.host });
      node.moved(publicAddress);
    }
    if (this.#checkedFor === publicAddress.host) return;
    this.#checkedFor = publicAddress.host;
    // Behind a NAT this takes four seconds, for which nobody shall wait.
    node.checkReachable(this.#seen.map(({ by }) => by).slice(0, REACHED_BY)).catch((error: Error) => {
      log.debug('could not find out who reaches this node', { error: error.message });
    });
  }
}

function plain({ host, port }: Address): Address {
  return { host, port };
}
