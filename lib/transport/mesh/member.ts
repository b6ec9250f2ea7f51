import type { MeshError } from '../../structs/errors.js';
import type { NodeKey } from '../../structs/mesh.js';
import type { Random } from '../../util/random.js';
import type { MeshClock } from '../clock.js';
import type { Greeted } from './handshake.js';
import { LINK_KINDS, type LinkKind } from './hello.js';
import { Lane } from './lane.js';
import type { LiveLink } from './live-link.js';

/** Both sides dialled at once when the second link comes so soon, from the other side, in the same lives of both. */
const SIMULTANEOUS_MS = 5_000;
/** A link that was replaced lives on until what it carries is done: at least, and at most; a log that somebody follows goes on. */
const RETIRED_MIN_MS = 1_000;
const RETIRED_MAX_MS = 10_000;
const RETIRED_STREAMS_MAX_MS = 3_600_000;
/** A link that both sides dial anew is replaced twice, and there are two kinds. */
const RETIRED_MAX = 4;
const INSTANCES_MAX = 4;
/** Commands of one person at a time. */
const BESIDE_MAX = 64;
/** A bulk link goes with its control link when it is silent, too. */
const BULK_SILENT_MS = 2_000;

export interface MemberOptions {
  readonly key: NodeKey;
  readonly clock: MeshClock;
  readonly random: Random;
  kept(): boolean;
  dial(kind: LinkKind, signal: AbortSignal, attempt: number): Promise<void>;
}

/** Another member as this agent is linked to it: one lane for each kind of link. */
export class Member {
  readonly lanes: Readonly<Record<LinkKind, Lane>>;
  /** Two machines were seen that use its key. */
  copied = false;
  /** The latest it has shown. */
  name = '';
  readonly #clock: MeshClock;
  /** Links that were replaced and are still at work, the oldest first. */
  readonly #retired = new Set<LiveLink>();
  /** Of a person: links of other commands that run at the same time. */
  readonly #beside = new Set<LiveLink>();
  /** The lives of this member seen so far, the latest last. */
  #instances: string[] = [];

  constructor({ key, clock, random, kept, dial }: MemberOptions) {
    this.#clock = clock;
    const lane = (kind: LinkKind): Lane =>
      new Lane({
        key,
        clock,
        random,
        dial: (signal, attempt) => dial(kind, signal, attempt),
        kept: () => kind === 'control' && kept(),
      });
    this.lanes = { control: lane('control'), bulk: lane('bulk') };
  }

  /** All of its links, those that were replaced and still at work among them. */
  links(): LiveLink[] {
    return [...LINK_KINDS.flatMap((kind) => this.lanes[kind].live ?? []), ...this.#retired, ...this.#openBeside()];
  }

  get idle(): boolean {
    return (
      this.lanes.control.idle && this.lanes.bulk.idle && this.#retired.size === 0 && this.#openBeside().length === 0
    );
  }

  /**
   * Whether a new link is to replace the one that is there. The newer one wins, for the older may be dead without knowing it.
   * Only when both sides dialled at the same time each of them would see the other's as the newer and close the one that the
   * other keeps: then the link that the smaller key dialled wins, at both sides; and a direct one before a carried one.
   */
  prefers({ connection, hello }: Greeted, kind: LinkKind, own: NodeKey): boolean {
    const former = this.lanes[kind].live;
    if (!former || former.hello.instance !== hello.instance || former.dialled === connection.dialled) return true;
    if (this.#clock.monotonicMs() - former.sinceMs > SIMULTANEOUS_MS) return true;
    if (former.carried !== (connection.carried === true)) return former.carried;
    const smaller = own < connection.remoteKey;
    return connection.dialled === smaller;
  }

  /** Notes who was met; true when it turns out that two machines have its key: an earlier life comes back after a later one. */
  met({ hello, claims }: LiveLink): boolean {
    this.name = claims.Name;
    const latest = this.#instances.at(-1);
    if (hello.instance === latest) return false;
    const back = this.#instances.includes(hello.instance);
    this.#instances = [...this.#instances.filter((one) => one !== hello.instance), hello.instance].slice(
      -INSTANCES_MAX,
    );
    const news = back && !this.copied;
    this.copied ||= back;
    return news;
  }

  /** Closes a link that was replaced: at once when the machine was started anew, else when what it carries is done. */
  retire(link: LiveLink, sameInstance: boolean): void {
    if (!sameInstance) {
      for (const former of this.#retired) former.link.close('replaced by a newer link');
      this.#retired.clear();
      link.link.close('replaced by a newer link');
      return;
    }
    this.#retired.add(link);
    for (const oldest of this.#retired) {
      if (this.#retired.size <= RETIRED_MAX) break;
      this.#retired.delete(oldest);
      oldest.link.close('replaced by a newer link');
    }
    const sinceMs = this.#clock.monotonicMs();
    const look = (): void => {
      if (!this.#retired.has(link)) return;
      const { busy, streaming, closed } = link.link;
      const mostMs = streaming ? RETIRED_STREAMS_MAX_MS : RETIRED_MAX_MS;
      if (!closed && busy && this.#clock.monotonicMs() - sinceMs < mostMs) {
        this.#clock.setTimeout(RETIRED_MIN_MS, look);
        return;
      }
      this.#retired.delete(link);
      link.link.close('replaced by a newer link');
    };
    this.#clock.setTimeout(RETIRED_MIN_MS, look);
  }

  /** The control link died: a bulk link that is silent as well need not be waited for. */
  closeBulkIfSilent(): void {
    const bulk = this.lanes.bulk.live?.link;
    if (bulk && bulk.silentMs > BULK_SILENT_MS) bulk.close('silent, as the control link is');
  }

  /**
   * Lets a link live on beside a newer one: a person's commands have one key and are many processes, which say nothing about
   * each other.
   */
  putBeside(link: LiveLink): void {
    const open = this.#openBeside();
    if (open.length >= BESIDE_MAX) open[0]?.link.close('too many commands at a time');
    this.#beside.add(link);
  }

  #openBeside(): LiveLink[] {
    for (const live of this.#beside) if (live.link.closed) this.#beside.delete(live);
    return [...this.#beside];
  }

  /** No longer a member: every link goes, at once. */
  out(reason: string): void {
    for (const live of this.links()) live.link.close(reason);
    this.#retired.clear();
  }

  close(reason: MeshError): void {
    for (const kind of LINK_KINDS) this.lanes[kind].close(reason);
    this.out(reason.message);
  }
}
