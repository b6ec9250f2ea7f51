import type { CertificateChain } from '../../structs/mesh.js';
import type { Millis } from '../../util/clock.js';
import { err, ok, type Result } from '../../util/result.js';
import type { VersionRange } from '../frame.js';
import { type Address, parseAddress } from '../tcp.js';

/** What a link is for: small and urgent, or large and patient. */
export type LinkKind = 'control' | 'bulk';

export const LINK_KINDS: readonly LinkKind[] = ['control', 'bulk'];

/** The first word of both sides on every connection. Nothing in it is believed before the certificates are checked. */
export interface Hello {
  readonly versions: VersionRange;
  /** Said by the side that dialled; the other one follows. */
  readonly link: LinkKind;
  readonly chain: CertificateChain;
  /** Made anew at every start: two of one key that come by turns are two machines with one key. */
  readonly instance: string;
  /** Of the program. */
  readonly program: string;
  readonly now: Millis;
  /** Where the sender may be reached; its public address first. */
  readonly addresses: readonly Address[];
  /** Others' traffic may pass through the sender. */
  readonly relays: boolean;
}

const CHAIN_MAX = 8;
const CERTIFICATE_MAX_CHARS = 8 * 1024;
/** A frame before the hello, and the hello itself: a long chain with many tags. */
export const HELLO_MAX_BYTES = 72 * 1024;
const ADDRESSES_MAX = 16;
const ADDRESS_MAX_CHARS = 80;
const INSTANCE = /^[0-9a-f]{32}$/;

export function encodeHello(hello: Hello): Record<string, unknown> {
  return {
    Min: hello.versions.min,
    Max: hello.versions.max,
    Link: hello.link,
    Chain: hello.chain,
    Instance: hello.instance,
    Program: hello.program,
    Now: hello.now,
    Addresses: hello.addresses.slice(0, ADDRESSES_MAX).map(formatAddress),
    Relays: hello.relays,
  };
}

/** Reads a hello that anybody may have sent. */
export function parseHello(body: Record<string, unknown>): Result<Hello, string> {
  const { Min, Max, Link, Chain, Instance, Program, Now, Addresses, Relays } = body;
  if (!isVersion(Min) || !isVersion(Max) || Min > Max) return err('a hello without versions');
  const link = LINK_KINDS.find((kind) => kind === Link);
  if (!link) return err('a hello for no kind of link');
  const chain = parseChain(Chain);
  if (!chain) return err('a hello without certificates');
  if (typeof Instance !== 'string' || !INSTANCE.test(Instance)) return err('a hello without an instance');
  if (typeof Program !== 'string' || Program.length > 64) return err('a hello without a program');
  if (typeof Now !== 'number' || !Number.isFinite(Now)) return err('a hello without a time');
  const addresses = parseAddresses(Addresses);
  if (!addresses || typeof Relays !== 'boolean') return err('a hello with impossible addresses');
  return ok({
    versions: { min: Min, max: Max },
    link,
    chain,
    instance: Instance,
    program: Program,
    now: Now,
    addresses,
    relays: Relays,
  });
}

/** Reads certificates as they travel; what they say is for the verifier. */
export function parseChain(value: unknown): CertificateChain | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length > CHAIN_MAX) return undefined;
  const good = value.every((item) => typeof item === 'string' && item.length <= CERTIFICATE_MAX_CHARS);
  return good ? (value as string[]) : undefined;
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function parseAddresses(value: unknown): Address[] | undefined {
  if (!Array.isArray(value) || value.length > ADDRESSES_MAX) return undefined;
  const addresses = value.map((text) =>
    typeof text === 'string' && text.length <= ADDRESS_MAX_CHARS ? parseAddress(text, 0) : undefined,
  );
  return addresses.every((address) => address !== undefined && address.port > 0) ? (addresses as Address[]) : undefined;
}

function isVersion(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < 0x1_0000;
}
