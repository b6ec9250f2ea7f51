import type { AllocatedPort, AllocatedResources } from '../structs/resources.js';
import type { Random } from '../util/random.js';
import type { DeviceOffer } from './feasible/devices.js';
import { type Assignment, assign } from './feasible/numa.js';
import { offerPorts } from './feasible/port-use.js';
import { TOO_MANY } from './fit.js';
import type { Fleet } from './fleet.js';
import { type GroupProgram, mhzPerCore, resourcesOn } from './group-program.js';
import type { Ledger } from './ledger.js';
import { binpackScore, freeShare, spreadScore } from './rank/fit-score.js';

const NO_DYNAMIC_PORT = 'network: dynamic port selection failed';
const NOT_ON_ONE_NUMA_NODE = 'cores: not as many, with their devices, on one NUMA node';
const NO_DEVICE = 'devices: no devices match request';

/** Says whether a group's ask fits what is left of a node, how well, and what an allocation gets there. */
export class Room {
  readonly #fleet: Fleet;
  readonly #ledger: Ledger;
  readonly #random: Random;
  readonly #algorithm: 'binpack' | 'spread';
  /** Rows that have too few dynamic ports left for a group, as found during this attempt; a group that asks for fewer may fit. */
  readonly #portless = new Map<GroupProgram, Set<number>>();
  /** Inputs and outcome of the last fit that was scored: nodes are often alike. */
  readonly #lastFit = new Float64Array(5).fill(Number.NaN);

  constructor(world: { fleet: Fleet; ledger: Ledger; random: Random; algorithm: 'binpack' | 'spread' }) {
    this.#fleet = world.fleet;
    this.#ledger = world.ledger;
    this.#random = world.random;
    this.#algorithm = world.algorithm;
    world.ledger.onChange((row) => {
      for (const rows of this.#portless.values()) rows.delete(row);
    });
  }

  /** '' when there is enough left, else the dimension that is short. */
  shortage(program: GroupProgram, row: number, needsPorts: boolean): string {
    const fleet = this.#fleet;
    const ledger = this.#ledger;
    ledger.look(row);
    if (fleet.allocsMax && ledger.count(row) >= (fleet.allocsMax[row] as number)) return TOO_MANY;
    if (needsPorts && program.network) {
      const clash = this.#portClash(program, row);
      if (clash !== '') return clash;
    }
    if (needsPorts && program.devices && !this.#devices(program, row)) return NO_DEVICE;
    const cores = program.cores > 0 ? program.cores * mhzPerCore(fleet, row) : 0;
    if (program.cores > 0 && ledger.freeCores(row).length < program.cores) return 'cores';
    if (needsPorts && program.requiresNuma && !this.#assign(program, row)) return NOT_ON_ONE_NUMA_NODE;
    if ((ledger.cpuMhz[row] as number) + program.cpuMhz + cores > (fleet.cpuMhz[row] as number)) return 'cpu';
    if ((ledger.memoryMb[row] as number) + program.memoryMb > (fleet.memoryMb[row] as number)) return 'memory';
    if ((ledger.diskMb[row] as number) + program.diskMb > (fleet.diskMb[row] as number)) return 'disk';
    return '';
  }

  /** Fills in how well the ask fits a node; `needsPorts` false: the ports and devices it has may stay. */
  fit(program: GroupProgram, row: number, needsPorts: boolean): void {
    if (this.shortage(program, row, needsPorts) !== '') {
      program.fitScores[row] = Number.NEGATIVE_INFINITY;
      return;
    }
    const fleet = this.#fleet;
    const ledger = this.#ledger;
    const cores = program.cores > 0 ? program.cores * mhzPerCore(fleet, row) : 0;
    const cpuUsed = (ledger.cpuMhz[row] as number) + program.cpuMhz + cores;
    const memoryUsed = (ledger.memoryMb[row] as number) + program.memoryMb;
    const cpu = fleet.cpuMhz[row] as number;
    const memory = fleet.memoryMb[row] as number;
    const last = this.#lastFit;
    if (last[0] !== cpuUsed || last[1] !== cpu || last[2] !== memoryUsed || last[3] !== memory) {
      const free = { cpu: freeShare(cpuUsed, cpu), memory: freeShare(memoryUsed, memory) };
      last[0] = cpuUsed;
      last[1] = cpu;
      last[2] = memoryUsed;
      last[3] = memory;
      last[4] = this.#algorithm === 'spread' ? spreadScore(free) : binpackScore(free);
    }
    program.fitScores[row] = last[4] as number;
  }

  /** What an allocation gets on a node that fits; null when the node is out of dynamic ports (which is remembered) or the like. */
  take(program: GroupProgram, row: number): AllocatedResources | null {
    const ports = this.#ports(program, row);
    if (!ports) {
      const rows = this.#portless.get(program);
      if (rows) rows.add(row);
      else this.#portless.set(program, new Set([row]));
      program.fitScores[row] = Number.NEGATIVE_INFINITY;
      return null;
    }
    const asksForOwn = program.cores > 0 || program.devices !== null;
    const own = asksForOwn ? this.#assign(program, row) : null;
    if (asksForOwn && !own) {
      program.fitScores[row] = Number.NEGATIVE_INFINITY;
      return null;
    }
    return resourcesOn(program, { fleet: this.#fleet, row, ports, own });
  }

  /** The cores and devices that an allocation would get on a node; null when they do not suffice. */
  #assign(program: GroupProgram, row: number): Assignment | null {
    const node = this.#fleet.nodes[row];
    if (!node) return null;
    const cores = program.cores > 0 ? this.#ledger.freeCores(row) : [];
    const use = program.devices ? this.#ledger.devices(row) : null;
    return assign({ cores: program.coreAsks, devices: program.devices }, node, { use, cores });
  }

  #ports(program: GroupProgram, row: number): AllocatedPort[] | null {
    if (!program.network) return [];
    const offer = offerPorts(program.network, this.#ledger.ports(row), this.#random);
    return offer.ok ? offer.value : null;
  }

  #devices(program: GroupProgram, row: number): DeviceOffer | null {
    const node = this.#fleet.nodes[row];
    const offer = node && program.devices ? program.devices.offer(node, this.#ledger.devices(row)) : null;
    if (offer) program.deviceScores[row] = offer.score;
    return offer;
  }

  #portClash(program: GroupProgram, row: number): string {
    if (this.#portless.get(program)?.has(row)) return NO_DYNAMIC_PORT;
    if (!program.hasStaticPorts || !program.network) return '';
    const statics = { ...program.network, DynamicPorts: null };
    const offer = offerPorts(statics, this.#ledger.ports(row), this.#random);
    return offer.ok ? '' : `network: ${offer.error}`;
  }
}
