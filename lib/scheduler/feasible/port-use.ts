import { PORT_MAX } from '../../structs/port-ranges.js';
import type { AllocatedPort, NetworkResource, Port } from '../../structs/resources.js';
import { type Random, randomInt } from '../../util/random.js';
import type { Result } from '../../util/result.js';
import { err, ok } from '../../util/result.js';
import { placeOf } from '../../util/sorted.js';
import { DEFAULT_NETWORK, type HostAddress, isReservedPort, type NodeAddresses } from './addresses.js';

/** Random picks of a dynamic port before the range is searched from its beginning. */
const DYNAMIC_PORT_TRIES = 20;

/** Ports of a node that are looked through one by one. */
const FEW_MAX = 16;
const NO_PORTS: readonly Port[] = [];

/** The holders that a state knows of, who are many: their port numbers, and a way to read them one by one. */
export interface KnownHolders {
  /** Ascending. */
  readonly numbers: Uint16Array;
  /** Adds the ports of each to `use`. */
  read(use: PortUse): void;
}

/** Which ports of one node are in use, address by address. */
export class PortUse {
  readonly addresses: NodeAddresses;
  /**
   * slot × 65,536 + port. Not a bitmap: 8 KiB a node would outweigh all else the scheduler remembers. A list while they
   * are few, as on most nodes: a set would outweigh it tenfold.
   */
  #few: number[] = [];
  #many: Set<number> | null = null;
  /** Addresses that allocations hold but the node no longer has. */
  #gone: string[] | null = null;
  /** Holders that need not be read as long as nobody asks for a number that one of them has. */
  #unread: KnownHolders | null;

  constructor(addresses: NodeAddresses, known: KnownHolders | null = null) {
    this.addresses = addresses;
    this.#unread = known;
  }

  /** Marks the ports of an allocation; false when one was taken already (and may not be shared). */
  add(ports: readonly AllocatedPort[] | null): boolean {
    let free = true;
    for (const port of ports ?? []) {
      if (port.IgnoreCollision) continue;
      this.#readIfListed(port.Value);
      const key = this.#slot(port.HostIP) * (PORT_MAX + 1) + port.Value;
      if (this.#has(key)) free = false;
      else this.#mark(key);
    }
    return free;
  }

  isUsed(slot: number, port: number): boolean {
    this.#readIfListed(port);
    return this.#has(slot * (PORT_MAX + 1) + port) || isReservedPort(this.addresses, slot, port);
  }

  /** Whether the port may be in use, found out without reading who has it; for whoever can take any other as well. */
  mayBeUsed(slot: number, port: number): boolean {
    const numbers = this.#unread?.numbers;
    if (numbers && numbers[placeOf(numbers, port)] === port) return true;
    return this.#has(slot * (PORT_MAX + 1) + port) || isReservedPort(this.addresses, slot, port);
  }

  #readIfListed(port: number): void {
    const known = this.#unread;
    if (known === null || known.numbers[placeOf(known.numbers, port)] !== port) return;
    this.#unread = null;
    known.read(this);
  }

  #has(key: number): boolean {
    return this.#many ? this.#many.has(key) : this.#few.includes(key);
  }

  #mark(key: number): void {
    if (this.#many) {
      this.#many.add(key);
      return;
    }
    // An array that is pushed to when it is empty gets room for 17.
    if (this.#few.length === 0) this.#few = [key];
    else this.#few.push(key);
    if (this.#few.length <= FEW_MAX) return;
    this.#many = new Set(this.#few);
    this.#few = [];
  }

  #slot(ip: string): number {
    const slot = this.addresses.ips.indexOf(ip);
    if (slot >= 0) return slot;
    this.#gone ??= [];
    let gone = this.#gone.indexOf(ip);
    if (gone < 0) gone = this.#gone.push(ip) - 1;
    return this.addresses.ips.length + gone;
  }
}

/**
 * Gives every asked port a number and an address, or says why not in the words of DimensionExhausted. Nothing is marked
 * as used: the caller adds the ports once the node is chosen.
 */
export function offerPorts(ask: NetworkResource, use: PortUse, random: Random): Result<AllocatedPort[], string> {
  let offer: AllocatedPort[] = [];
  for (const port of ask.ReservedPorts ?? NO_PORTS) {
    const address = findAddress(use.addresses, port);
    if (!address) return err(noAddress(port));
    if (port.Value < 0 || port.Value > PORT_MAX) return err(`invalid port ${port.Value} (out of range)`);
    if (!port.IgnoreCollision && (use.isUsed(address.slot, port.Value) || isOffered(offer, address.ip, port.Value))) {
      return err(`reserved port collision ${port.Label}=${port.Value}`);
    }
    offer = withOne(offer, allocated(port, port.Value, address.ip));
  }
  for (const port of ask.DynamicPorts ?? NO_PORTS) {
    let found = false;
    let known = false;
    for (const address of use.addresses.addresses) {
      if (address.network !== networkOf(port)) continue;
      known = true;
      const value = pickDynamicPort(address, use, offer, random);
      if (value === 0) continue;
      offer = withOne(offer, allocated(port, value, address.ip));
      found = true;
      break;
    }
    if (!found) return err(known ? 'dynamic port selection failed' : noAddress(port));
  }
  return ok(offer);
}

/** One more. Copied: what is pushed to keeps room for many, and these are few and kept with each allocation. */
function withOne(offer: AllocatedPort[], port: AllocatedPort): AllocatedPort[] {
  return offer.length === 0 ? [port] : [...offer, port];
}

/** A free port of the node's dynamic range: a few at random, then the first free one; 0 when there is none. */
function pickDynamicPort(address: HostAddress, use: PortUse, offer: readonly AllocatedPort[], random: Random): number {
  const { dynamicMin, dynamicMax } = use.addresses;
  if (dynamicMax < dynamicMin) return 0;
  for (let i = 0; i < DYNAMIC_PORT_TRIES; i++) {
    const port = dynamicMin + randomInt(random, dynamicMax - dynamicMin + 1);
    if (!use.mayBeUsed(address.slot, port) && !isOffered(offer, address.ip, port)) return port;
  }
  for (let port = dynamicMin; port <= dynamicMax; port++) {
    if (!use.isUsed(address.slot, port) && !isOffered(offer, address.ip, port)) return port;
  }
  return 0;
}

function isOffered(offer: readonly AllocatedPort[], ip: string, value: number): boolean {
  for (const port of offer) if (port.Value === value && port.HostIP === ip && !port.IgnoreCollision) return true;
  return false;
}

function allocated(port: Port, value: number, ip: string): AllocatedPort {
  return {
    Label: port.Label,
    Value: value,
    To: port.To === -1 ? value : port.To,
    HostIP: ip,
    IgnoreCollision: port.IgnoreCollision,
  };
}

function findAddress(addresses: NodeAddresses, port: Port): HostAddress | undefined {
  const network = networkOf(port);
  for (const address of addresses.addresses) if (address.network === network) return address;
  return undefined;
}

/** The host network that a port is to be on. */
export function networkOf(port: Port): string {
  return port.HostNetwork === '' ? DEFAULT_NETWORK : port.HostNetwork;
}

function noAddress(port: Port): string {
  return `no addresses available for "${networkOf(port)}" network`;
}
