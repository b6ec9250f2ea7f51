import { createHash } from 'node:crypto';
import type { RemoteInfo } from 'node:dgram';
import type { MulticastDNS, ResponsePacket } from 'multicast-dns';
import type { NodeKey } from '../../structs/mesh.js';
import { backoffMs } from '../../util/backoff.js';
import type { Log } from '../../util/log.js';
import type { Random } from '../../util/random.js';
import type { Address } from '../tcp.js';
import { decodeFact, encodeFact, SERVICE } from './mdns-packet.js';

const FIRST_MS = 1_000;
const LAST_MS = 60_000;
/** Everybody hears every question: more than this of them are not answered, nor asked. */
const SPACING_MS = 100;
const TTL_S = 120;

/** Finds members on the local network by multicast. Where that is not possible it is silently absent. */
export interface Mdns {
  /** Members recognise each other by these from now on; empty = nothing is asked or answered. */
  setTopics(topics: readonly Uint8Array[]): void;
  /** Asks now. */
  ask(): void;
  close(): Promise<void>;
}

export interface MdnsOptions {
  readonly key: NodeKey;
  /** Of the node. */
  readonly port: () => number;
  /** Answers are given only then. */
  readonly announce: () => boolean;
  readonly onFound: (key: NodeKey, address: Address) => void;
  readonly random: Random;
  readonly log: Log;
}

/** What members know each other by: too short, and too far from the topic, to find anything else with. */
export function tagOf(topic: Uint8Array): string {
  return createHash('sha256').update('meshnomad/mdns/1').update(topic).digest('hex').slice(0, 16);
}

export async function openMdns(options: MdnsOptions): Promise<Mdns> {
  const { default: multicastDns } = await import('multicast-dns');
  const { log } = options;
  let socket: MulticastDNS | undefined = multicastDns({ reuseAddr: true });
  let tags: readonly string[] = [];
  let attempt = 0;
  let timer: NodeJS.Timeout | undefined;
  let askedAt = Number.NEGATIVE_INFINITY;
  let answeredAt = Number.NEGATIVE_INFINITY;

  const giveUp = (error: Error): void => {
    if (!socket) return;
    log.debug('no multicast here: members on this network are found by other ways', { error: error.message });
    clearTimeout(timer);
    socket.destroy();
    socket = undefined;
  };
  const answer = (): void => {
    if (tags.length === 0 || !options.announce() || performance.now() - answeredAt < SPACING_MS) return;
    answeredAt = performance.now();
    const data = encodeFact({ key: options.key, port: options.port(), tags });
    socket?.respond([{ name: SERVICE, type: 'TXT', ttl: TTL_S, data }]);
  };
  const ask = (): void => {
    if (tags.length === 0 || performance.now() - askedAt < SPACING_MS) return;
    askedAt = performance.now();
    socket?.query([{ name: SERVICE, type: 'TXT' }]);
  };
  const schedule = (): void => {
    clearTimeout(timer);
    if (!socket || tags.length === 0) return;
    const delayMs = backoffMs({ attempt: attempt++, baseMs: FIRST_MS, maxMs: LAST_MS, random: options.random });
    timer = setTimeout(() => {
      ask();
      schedule();
    }, delayMs);
    timer.unref();
  };
  const hear = (packet: ResponsePacket, from: RemoteInfo): void => {
    for (const record of [...(packet.answers ?? []), ...(packet.additionals ?? [])].slice(0, 64)) {
      if (record.type !== 'TXT' || record.name !== SERVICE) continue;
      const fact = decodeFact(record.data);
      if (!fact || fact.key === options.key || !fact.tags.some((tag) => tags.includes(tag))) continue;
      options.onFound(fact.key, { host: from.address, port: fact.port });
    }
  };

  socket.on('error', giveUp);
  socket.on('warning', (error) => log.trace('multicast', { error: error.message }));
  socket.on('response', hear);
  socket.on('query', (packet) => {
    if (packet.questions?.some(({ name, type }) => name === SERVICE && ['TXT', 'ANY'].includes(type))) answer();
  });
  return {
    setTopics(topics) {
      tags = topics.map(tagOf);
      attempt = 0;
      ask();
      answer();
      schedule();
    },
    ask() {
      attempt = 0;
      ask();
      schedule();
    },
    close: () =>
      new Promise((resolve) => {
        clearTimeout(timer);
        if (socket) socket.destroy(resolve);
        else resolve();
        socket = undefined;
      }),
  };
}
