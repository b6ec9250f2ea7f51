import { err, ok, type Result } from '../../util/result.js';
import type { CallResult, HclFunction } from '../context.js';
import { isInteger, truncate } from '../number.js';
import { listOf, STRING } from '../types.js';
import { stringValue, type Value } from '../values.js';
import { define, integerOf, listOfTexts, NOT_WHOLE, number, refuse, text, textOf } from './define.js';

/** A network: its address as a number of so many bits, and the length of its prefix. */
interface Network {
  readonly address: bigint;
  readonly bits: 32 | 128;
  readonly prefix: number;
}

/** Without leading zeros, which some read as octal. */
function parseIpv4(source: string): bigint | null {
  const parts = source.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9][0-9]{0,2})$/.test(part) && Number(part) < 256))
    return null;
  return parts.reduce((sum, part) => sum * 256n + BigInt(part), 0n);
}

function parseIpv6(source: string): bigint | null {
  const tail = /^(.*:)([0-9]+\.[0-9.]+)$/.exec(source);
  const v4 = tail ? parseIpv4(tail[2] as string) : null;
  if (tail && v4 === null) return null;
  const groups = v4 === null ? source : `${tail?.[1]}${(v4 >> 16n).toString(16)}:${(v4 & 0xffffn).toString(16)}`;
  const halves = groups.split('::');
  if (halves.length > 2) return null;
  const [head = [], rest = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const missing = 8 - head.length - rest.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const all = [...head, ...Array<string>(missing).fill('0'), ...rest];
  if (!all.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return null;
  return all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}

/** An IPv4 address in IPv6's clothes is an IPv4 address. */
const MAPPED = 0xffffn << 32n;

function parseNetwork(source: string): Result<Network, string> {
  const match = /^([^/]*)\/([0-9]{1,3})$/.exec(source);
  const v4 = match ? parseIpv4(match[1] as string) : null;
  const address = v4 ?? (match ? parseIpv6(match[1] as string) : null);
  const bits = v4 === null ? 128 : 32;
  const prefix = Number(match?.[2]);
  if (address === null || prefix > bits || (match?.[2] ?? '').length !== String(prefix).length)
    return err(`invalid CIDR expression: invalid CIDR address: ${source}`);
  return ok({ address: (address >> BigInt(bits - prefix)) << BigInt(bits - prefix), bits, prefix });
}

function printAddress(address: bigint, bits: number): string {
  if (bits === 32) return [24n, 16n, 8n, 0n].map((shift) => String((address >> shift) & 255n)).join('.');
  if (address >> 32n === MAPPED >> 32n) return printAddress(address & 0xffffffffn, 32);
  const groups = Array.from({ length: 8 }, (_, i) => ((address >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  // The longest run of two or more zeros is left out, the first of several.
  let best = { at: 0, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (groups[at + length] === '0') length++;
    if (length > best.length) best = { at, length };
  }
  if (best.length < 2) return groups.join(':');
  return `${groups.slice(0, best.at).join(':')}::${groups.slice(best.at + best.length).join(':')}`;
}

const printNetwork = ({ address, bits, prefix }: Network): string => `${printAddress(address, bits)}/${prefix}`;

/** A number below zero counts from the end of the network. */
function host({ address, bits, prefix }: Network, given: bigint): CallResult {
  const last = (1n << BigInt(bits - prefix)) - 1n;
  const offset = given < 0n ? last + given + 1n : given;
  if (offset < 0n || offset > last) return refuse(`prefix of ${prefix} does not accommodate a host numbered ${given}`);
  return ok(stringValue(printAddress(address | offset, bits)));
}

function subnet({ address, bits, prefix }: Network, newBits: number, index: bigint): CallResult {
  if (newBits > 32) return refuse('may not extend prefix by more than 32 bits');
  if (newBits < 0) return refuse('the number of new bits must not be negative', 1);
  if (prefix + newBits > bits) return refuse(`insufficient address space to extend prefix of ${prefix} by ${newBits}`);
  if (index < 0n || index >= 1n << BigInt(newBits))
    return refuse(`prefix extension of ${newBits} does not accommodate a subnet numbered ${index}`);
  const longer = prefix + newBits;
  return ok(stringValue(printNetwork({ address: address | (index << BigInt(bits - longer)), bits, prefix: longer })));
}

/** Networks one behind the other, each at the first place where its size fits. */
function subnets(network: Network, lengths: readonly (number | null)[]): CallResult {
  const { bits } = network;
  const end = network.address + (1n << BigInt(bits - network.prefix));
  const found: string[] = [];
  let free = network.address;
  let previous = network;
  for (const [i, length] of lengths.entries()) {
    if (length === null) return refuse(NOT_WHOLE, i + 1);
    if (length < 1) return refuse('must extend prefix by at least one bit', i + 1);
    if (length > 32) return refuse('may not extend prefix by more than 32 bits', i + 1);
    const prefix = network.prefix + length;
    const protocol = bits === 32 ? 'IPv4' : 'IPv6';
    if (prefix > bits)
      return refuse(`would extend prefix to ${prefix} bits, which is too long for an ${protocol} address`, i + 1);
    const size = 1n << BigInt(bits - prefix);
    const address = ((free + size - 1n) / size) * size;
    if (address + size > end) {
      const after = printNetwork(previous);
      return refuse(
        `not enough remaining address space for a subnet with a prefix of ${prefix} bits after ${after}`,
        i + 1,
      );
    }
    previous = { address, bits, prefix };
    free = address + size;
    found.push(printNetwork(previous));
  }
  return listOfTexts(found);
}

function wholeOf(value: Value | undefined): bigint | null {
  return value?.kind === 'number' && isInteger(value.value) && integerOf(value) !== null ? truncate(value.value) : null;
}

function onNetwork(source: Value | undefined, use: (network: Network) => CallResult, argument?: number): CallResult {
  const network = parseNetwork(textOf(source));
  return network.ok ? use(network.value) : refuse(network.error, argument);
}

/** The functions over ranges of IP addresses. */
export const CIDR_FUNCTIONS: Record<string, HclFunction> = {
  cidrhost: define([text('prefix'), number('hostnum')], STRING, ([prefix, given]) => {
    const index = wholeOf(given);
    return index === null ? refuse(NOT_WHOLE) : onNetwork(prefix, (network) => host(network, index));
  }),
  cidrnetmask: define([text('prefix')], STRING, ([source]) =>
    onNetwork(source, ({ bits, prefix }) => {
      const all = (1n << BigInt(bits)) - 1n;
      return ok(stringValue(printAddress((all >> BigInt(bits - prefix)) << BigInt(bits - prefix), bits)));
    }),
  ),
  cidrsubnet: define([text('prefix'), number('newbits'), number('netnum')], STRING, ([prefix, bits, given]) => {
    const [newBits, index] = [integerOf(bits), wholeOf(given)];
    if (newBits === null || index === null) return refuse(NOT_WHOLE);
    return onNetwork(prefix, (network) => subnet(network, newBits, index));
  }),
  cidrsubnets: define(
    [text('prefix')],
    listOf(STRING),
    ([prefix, ...lengths]) => onNetwork(prefix, (network) => subnets(network, lengths.map(integerOf)), 0),
    number('newbits'),
  ),
};
