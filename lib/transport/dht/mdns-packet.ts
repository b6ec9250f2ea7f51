import type { NodeKey } from '../../structs/mesh.js';

// What members say to each other by multicast DNS (RFC 6762): one TXT record under one name. Anybody on the local network
// hears it, and anybody may answer: it holds a tag that members recognise, never a secret, and nothing in it is believed.

export const SERVICE = '_meshnomad._udp.local';
const TAGS_MAX = 8;

/** What one member says of itself. */
export interface MdnsFact {
  readonly key: NodeKey;
  /** UDP port of its node. */
  readonly port: number;
  /** Heads of hashes of its topics, hexadecimal. */
  readonly tags: readonly string[];
}

/** The strings of the TXT record. */
export function encodeFact(fact: MdnsFact): string[] {
  return [`k=${fact.key}`, `p=${fact.port}`, ...fact.tags.slice(0, TAGS_MAX).map((tag) => `t=${tag}`)];
}

/** The fact in the data of a TXT record; undefined for anything else. */
export function decodeFact(data: unknown): MdnsFact | undefined {
  const strings = Array.isArray(data) ? data.slice(0, TAGS_MAX + 4) : [data];
  let key: string | undefined;
  let port: number | undefined;
  const tags: string[] = [];
  for (const entry of strings) {
    const text =
      typeof entry === 'string' ? entry : entry instanceof Uint8Array ? Buffer.from(entry).toString('latin1') : '';
    const value = text.slice(2);
    if (text.startsWith('k=') && /^[0-9a-f]{64}$/.test(value)) key = value;
    else if (text.startsWith('p=') && /^[1-9]\d{0,4}$/.test(value)) port = Number(value);
    else if (text.startsWith('t=') && /^[0-9a-f]{16}$/.test(value)) tags.push(value);
  }
  if (key === undefined || port === undefined || port > 65_535 || tags.length === 0) return undefined;
  return { key, port, tags: tags.slice(0, TAGS_MAX) };
}
