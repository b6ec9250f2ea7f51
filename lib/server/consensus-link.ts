import type { Message } from '../raft/index.js';
import { COMMANDS_VERSION_FIRST } from '../state/command-versions.js';
import { COMMANDS_VERSION } from '../state/commands.js';
import type { Log } from '../util/log.js';
import type { RaftTransport } from './ports.js';
import type { Life, Packet } from './raft-packet.js';
import { decodePacket, encodePacket, UNKNOWN_LIFE } from './raft-packet.js';
import { RecentTimes } from './recent-times.js';

/** A server that must say who it is does so at most once in this time to each other. */
const HELLO_EVERY_MS = 100;
/** One that cannot be understood is complained about this often. */
const COMPLAIN_EVERY_MS = 60_000;
/** Messages to one server share a packet up to this size; one that is larger has its own. */
const PACKET_BYTES = 256 * 1024;
/** Stamps count tenths of milliseconds, and begin again before they are large. */
const STAMPS_PER_MS = 10;
const STAMP_MODULUS = 2 ** 31;
const ROUND_TRIP_MAX_MS = 60_000;

interface Peer {
  life: Life;
  /** The newest version of commands that it can apply; null before it has said anything. */
  commands: number | null;
  heardMs: number | null;
  readonly rtts: RecentTimes;
  /** Of the latest heartbeat from it: goes back with the answer. */
  stamp: number;
  saidHelloMs: number;
  complainedMs: number;
}

export interface LinkEvents {
  /** What another server of the group says. `tickMs` is 0 unless it leads. */
  onMessages(from: string, messages: readonly Message[], tickMs: number): void;
  /** Another server's data has not been admitted. */
  onStranger(from: string, life: Life): void;
  /** The leader says that this server's data, a stranger until now, has been admitted to the group of its epoch. */
  onAdmitted(epoch: number): void;
  /** The group was recovered without this server: it goes on in a later epoch. */
  onAbandoned(epoch: number): void;
  /** Another server knows of newer data than what is here. */
  onOutdated(): void;
}

export interface LinkOptions {
  readonly id: string;
  readonly transport: RaftTransport;
  readonly now: () => number;
  readonly log: Log;
  /** This server's own data. */
  readonly self: () => Life & { readonly admitted: boolean; readonly epoch: number; readonly abandoned: boolean };
  /** Whether another server's data has been admitted just now by this one. */
  readonly admits: (to: string, life: Life) => boolean;
  readonly tickMs: () => number;
  readonly events: LinkEvents;
}

/**
 * What this server says to the others and hears of them: packs messages, measures round trips, and sees to it that nobody
 * counts on data that is a copy of older data.
 */
export class GroupLink {
  readonly #options: LinkOptions;
  readonly #peers = new Map<string, Peer>();

  constructor(options: LinkOptions) {
    this.#options = options;
    options.transport.onMessage((from, bytes) => this.#hear(from, bytes));
  }

  #peer(id: string): Peer {
    let peer = this.#peers.get(id);
    if (peer === undefined) {
      const never = Number.NEGATIVE_INFINITY;
      peer = {
        life: UNKNOWN_LIFE,
        commands: null,
        heardMs: null,
        rtts: new RecentTimes(),
        stamp: 0,
        saidHelloMs: never,
        complainedMs: never,
      };
      this.#peers.set(id, peer);
    }
    return peer;
  }

  /** When it was last heard; null: not yet. */
  heardMs(id: string): number | null {
    return this.#peers.get(id)?.heardMs ?? null;
  }

  /** The newest version of commands that it can apply; null before it was heard. */
  commandsOf(id: string): number | null {
    return this.#peers.get(id)?.commands ?? null;
  }

  /** Median of the latest round trips; null before the first. */
  rttMs(id: string): number | null {
    return this.#peers.get(id)?.rtts.median ?? null;
  }

  /** Sends messages, those to one server in one packet. A stranger says nothing: it could not keep what it promised before. */
  send(messages: readonly Message[]): void {
    if (messages.length === 0 || !this.#options.self().admitted) return;
    const open = new Map<string, { messages: Message[]; bytes: number }>();
    for (const message of messages) {
      const { to } = message;
      const bytes = sizeOf(message);
      const packet = open.get(to);
      if (packet === undefined) {
        open.set(to, { messages: [message], bytes });
      } else if (packet.bytes + bytes <= PACKET_BYTES) {
        packet.messages.push(message);
        packet.bytes += bytes;
      } else {
        this.#sendTo(to, packet.messages);
        open.set(to, { messages: [message], bytes });
      }
    }
    for (const [to, packet] of open) this.#sendTo(to, packet.messages);
  }

  #sendTo(to: string, messages: readonly Message[]): void {
    this.#options.transport.send(to, this.pack(to, messages));
  }

  /** The bytes of messages to one server. */
  pack(to: string, messages: readonly Message[]): Uint8Array {
    const { self, admits, tickMs } = this.#options;
    const peer = this.#peer(to);
    const { instance, starts, admitted, epoch } = self();
    const isHeartbeat = messages.some(({ type }) => type === 'heartbeat');
    const isAnswer = messages.some(({ type }) => type === 'heartbeatResponse');
    return encodePacket({
      commands: COMMANDS_VERSION,
      life: { instance, starts },
      toLife: peer.life,
      stranger: !admitted,
      epoch,
      admitted: admits(to, peer.life),
      stamp: isHeartbeat ? this.#stamp() : 0,
      echo: isAnswer ? peer.stamp : 0,
      tickMs: messages.some(({ type }) => type === 'heartbeat' || type === 'append') ? tickMs() : 0,
      messages,
    });
  }

  #stamp(): number {
    return (Math.floor(this.#options.now() * STAMPS_PER_MS) % (STAMP_MODULUS - 1)) + 1;
  }

  #hear(from: string, bytes: Uint8Array): void {
    const packet = this.unpack(from, bytes);
    if (packet === null) return;
    const { events } = this.#options;
    if (packet.messages.length > 0) events.onMessages(from, packet.messages, packet.tickMs);
  }

  /** What a packet says, or null when nobody may act on it. */
  unpack(from: string, bytes: Uint8Array): Packet | null {
    const { id, self, events } = this.#options;
    const peer = this.#peer(from);
    const decoded = decodePacket(bytes, { from, to: id });
    if (!decoded.ok) {
      this.#complain(from, peer, decoded.error);
      return null;
    }
    const packet = decoded.value;
    peer.commands = Math.max(COMMANDS_VERSION_FIRST, packet.commands);
    const { toLife } = packet;
    const own = self();
    // What is here is of no use to anybody any more.
    if (own.abandoned) return null;
    const isToSelf = toLife.instance === own.instance;
    if (isToSelf && toLife.starts > own.starts) {
      events.onOutdated();
      return null;
    }
    if (!packet.stranger && packet.epoch < own.epoch) {
      // It belongs to a group that is no more: the answer tells it so.
      this.#sayHello(from, peer);
      return null;
    }
    if (!own.admitted) {
      if (packet.admitted && isToSelf) events.onAdmitted(packet.epoch);
      else this.#sayHello(from, peer);
      return null;
    }
    if (!packet.stranger && packet.epoch > own.epoch) {
      events.onAbandoned(packet.epoch);
      return null;
    }
    if (packet.stranger) {
      peer.life = packet.life;
      events.onStranger(from, packet.life);
      return null;
    }
    if (peer.life.instance === packet.life.instance && packet.life.starts < peer.life.starts) {
      // Late, or from a copy of older data: the answer tells the latter what it is.
      this.#sayHello(from, peer);
      return null;
    }
    peer.life = packet.life;
    peer.heardMs = this.#options.now();
    if (toLife.instance !== '' && !isToSelf) {
      this.#sayHello(from, peer);
      return null;
    }
    if (packet.stamp !== 0) peer.stamp = packet.stamp;
    if (packet.echo !== 0) this.#measure(peer, packet.echo);
    return packet;
  }

  #measure(peer: Peer, echo: number): void {
    const elapsedMs = ((this.#stamp() - echo + STAMP_MODULUS) % STAMP_MODULUS) / STAMPS_PER_MS;
    if (elapsedMs <= ROUND_TRIP_MAX_MS) peer.rtts.add(elapsedMs);
  }

  /** A packet without messages: it says who is here, and of whom this server knows. */
  #sayHello(to: string, peer: Peer): void {
    const now = this.#options.now();
    if (now - peer.saidHelloMs < HELLO_EVERY_MS) return;
    peer.saidHelloMs = now;
    this.#sendTo(to, []);
  }

  #complain(from: string, peer: Peer, why: string): void {
    const now = this.#options.now();
    if (now - peer.complainedMs < COMPLAIN_EVERY_MS) return;
    peer.complainedMs = now;
    this.#options.log.warn('a server cannot be understood', { from, why });
  }
}

function sizeOf(message: Message): number {
  return message.type === 'append' ? message.entries.reduce((sum, { data }) => sum + data.length, 64) : 64;
}
