import { MeshError } from '../../structs/errors.js';
import type { NodeKey } from '../../structs/mesh.js';
import type { Random } from '../../util/random.js';
import type { MeshClock } from '../clock.js';
import type { Roster } from '../peers.js';
import type { LinkKind } from './hello.js';
import type { LiveLink } from './live-link.js';
import { Member } from './member.js';

/** A link that nobody used for so long is closed by the side that dialled it. */
const IDLE_MS = 60_000;
const RELAYS_MAX = 3;
/** An agent with many links pings less often, and asks to be pinged less often: so much for each of them. */
const BEAT_PER_LINK_MS = 3;

export interface MemberTableOptions {
  readonly own: NodeKey;
  readonly clock: MeshClock;
  readonly random: Random;
  readonly roster: Roster;
  /** Whether links are opened at all: between start and close. */
  isOpen(): boolean;
  dial(key: NodeKey, kind: LinkKind, signal: AbortSignal, attempt: number): Promise<void>;
}

/** Who is linked, or is to be: the lanes of each member, which of them are kept, and how soon a loss is to be noticed. */
export class MemberTable {
  readonly #options: MemberTableOptions;
  readonly #members = new Map<NodeKey, Member>();
  #kept: ReadonlySet<NodeKey> = new Set();

  constructor(options: MemberTableOptions) {
    this.#options = options;
  }

  /** Links to these are dialled again whenever they are lost. */
  keep(keys: readonly NodeKey[]): void {
    this.#kept = new Set(keys.filter((key) => key !== this.#options.own));
    for (const key of this.#kept) this.of(key).lanes.control.pump();
    this.#setPaces();
  }

  isKept(key: NodeKey): boolean {
    return this.#kept.has(key);
  }

  /** The member with this key, if anything is known of links with it. */
  get(key: NodeKey): Member | undefined {
    return this.#members.get(key);
  }

  of(key: NodeKey): Member {
    const known = this.#members.get(key);
    if (known) return known;
    const { clock, random, dial, isOpen } = this.#options;
    const member = new Member({
      key,
      clock,
      random,
      kept: () => this.#kept.has(key) && isOpen(),
      dial: (kind, signal, attempt) => dial(key, kind, signal, attempt),
    });
    this.#members.set(key, member);
    return member;
  }

  all(): IterableIterator<[NodeKey, Member]> {
    return this.#members.entries();
  }

  /** The link that is up. */
  up(key: NodeKey, kind: LinkKind): LiveLink | undefined {
    return this.#members.get(key)?.lanes[kind].live;
  }

  /** The control links that are up. */
  controls(): LiveLink[] {
    return [...this.#members.values()].flatMap(({ lanes }) => lanes.control.live ?? []);
  }

  /** Those of the kept ones. */
  keptControls(): LiveLink[] {
    return this.controls().filter(({ key }) => this.#kept.has(key));
  }

  /** A link, opened when there is none; rejects with E_NOT_FOUND, E_PERMISSION_DENIED or E_TIMEOUT. */
  async link(key: NodeKey, kind: LinkKind, waitMs: number, signal?: AbortSignal): Promise<LiveLink> {
    const status = this.#options.roster.find(key)?.status;
    if (status === 'admitted') return this.of(key).lanes[kind].wait(waitMs, signal);
    const short = key.slice(0, 8);
    throw status === undefined
      ? new MeshError('E_NOT_FOUND', `no member of the mesh has the key ${short}…`)
      : new MeshError('E_PERMISSION_DENIED', `the member with the key ${short}… is ${status}, and is not spoken to`);
  }

  /** Members that are linked and let others' traffic pass, the nearest first. */
  relays(except: NodeKey): NodeKey[] {
    return this.controls()
      .filter(({ key, hello }) => hello.relays && key !== except)
      .sort((a, b) => a.rttMs - b.rttMs)
      .slice(0, RELAYS_MAX)
      .map(({ key }) => key);
  }

  /** How soon the loss of a link that came up is to be noticed. */
  pace(live: LiveLink): void {
    live.expect(this.#kept.has(live.key) || live.link.waiting, this.beatMs());
  }

  /** How often this agent pings at most, and wants to be pinged. */
  beatMs(): number {
    return this.#members.size * BEAT_PER_LINK_MS;
  }

  /** Everybody is dialled anew; `asleep`: the links that are up are doubted. */
  retryAll(asleep: boolean): void {
    for (const { lanes } of this.#members.values()) {
      if (asleep) {
        lanes.control.live?.link.hurry();
        lanes.bulk.live?.link.hurry();
      }
      lanes.control.retryNow();
      lanes.bulk.retryNow();
    }
  }

  /** Once a second: sets the paces, closes what is idle, forgets who is gone. */
  tick(): void {
    this.#setPaces();
    const idleSinceMs = this.#options.clock.monotonicMs() - IDLE_MS;
    for (const [key, member] of this.#members) {
      const keep = this.#kept.has(key);
      for (const live of member.links()) {
        const kept = keep && live.kind === 'control';
        // The other side may want to keep what it dialled itself.
        if (live.dialled && !kept && !live.link.busy && live.usedAtMs < idleSinceMs) live.link.close('idle');
      }
      if (member.idle && !keep) this.#members.delete(key);
    }
  }

  #setPaces(): void {
    for (const live of this.controls()) this.pace(live);
  }
}
