import { assertNever } from '../util/assert.js';
import type { Result } from '../util/result.js';
import { err, ok } from '../util/result.js';
import { WireReader, WireWriter } from '../util/wire.js';
import { encodeMembership, parseMembership } from './membership.js';
import type { AppendMessage, AppendResponseMessage, Message } from './messages.js';
import type { Entry, EntryType } from './ports.js';

// Messages as bytes: type u8 │ term │ the fields of the type in the order written here; numbers as WireWriter writes them.
// Who sent a message, and to whom, is known from the connection that it came by, and not in it. A type is never given
// another meaning: what is new gets a new number, and the packet that carries it a new version.

const TYPES = [
  'append',
  'appendResponse',
  'heartbeat',
  'heartbeatResponse',
  'vote',
  'voteResponse',
  'snapshot',
  'timeoutNow',
  'readIndex',
  'readIndexResponse',
] as const satisfies readonly Message['type'][];

const ENTRY_TYPES: readonly EntryType[] = ['command', 'noop', 'config'];
/** Head of an entry: type and at least two bytes of numbers. An append cannot claim more entries than fit. */
const ENTRY_BYTES_MIN = 3;

const FLAG_PRE = 1;
const FLAG_TRANSFER = 2;
const FLAG_GRANTED = 4;

/** The bytes of a message, without its sender and receiver. */
export function encodeMessage(message: Message): Uint8Array {
  const payload = message.type === 'append' ? message.entries.reduce((sum, { data }) => sum + data.length + 24, 0) : 0;
  const out = new WireWriter(64 + payload);
  out.byte(TYPES.indexOf(message.type)).number(message.term);
  switch (message.type) {
    case 'append':
      writeAppend(out, message);
      break;
    case 'appendResponse':
      writeOutcome(out, message.outcome);
      break;
    case 'heartbeat':
      out.number(message.commit).number(message.round);
      break;
    case 'heartbeatResponse':
      out.number(message.round);
      break;
    case 'vote':
      out.byte((message.pre ? FLAG_PRE : 0) | (message.transfer ? FLAG_TRANSFER : 0));
      out.number(message.lastIndex).number(message.lastTerm);
      break;
    case 'voteResponse':
      out.byte((message.pre ? FLAG_PRE : 0) | (message.granted ? FLAG_GRANTED : 0));
      break;
    case 'snapshot': {
      const { index, term, membership, digest = '' } = message.snapshot;
      out.number(index).number(term).bytes(encodeMembership(membership)).bytes(new TextEncoder().encode(digest));
      break;
    }
    case 'timeoutNow':
      break;
    case 'readIndex':
      out.number(message.context);
      break;
    case 'readIndexResponse':
      out.number(message.context).number(message.index);
      break;
    default:
      assertNever(message);
  }
  return out.done();
}

function writeAppend(out: WireWriter, message: AppendMessage): void {
  out.number(message.prevIndex).number(message.prevTerm).number(message.commit).number(message.entries.length);
  for (const { term, type, data } of message.entries) out.byte(ENTRY_TYPES.indexOf(type)).number(term).bytes(data);
}

function writeOutcome(out: WireWriter, outcome: AppendResponseMessage['outcome']): void {
  out.byte(outcome.ok ? 1 : 0);
  if (outcome.ok) out.number(outcome.match);
  else out.number(outcome.index).number(outcome.hintIndex).number(outcome.hintTerm);
}

/** Reads a message; what is not one is refused with the reason. Payloads are views of `bytes`. */
export function decodeMessage(bytes: Uint8Array, between: { from: string; to: string }): Result<Message, string> {
  const input = new WireReader(bytes);
  const type = TYPES[input.byte()];
  const term = input.number();
  if (type === undefined) return err(`message of unknown type ${bytes[0]}`);
  const message = readBody(input, type, { ...between, term });
  if (message === null || !input.ok) return err(`${type} message cannot be read`);
  if (input.rest > 0) return err(`${type} message has ${input.rest} bytes too many`);
  return ok(message);
}

function readBody(
  input: WireReader,
  type: Message['type'],
  envelope: { from: string; to: string; term: number },
): Message | null {
  switch (type) {
    case 'append':
      return readAppend(input, envelope);
    case 'appendResponse':
      return { ...envelope, type, outcome: readOutcome(input) };
    case 'heartbeat':
      return { ...envelope, type, commit: input.number(), round: input.number() };
    case 'heartbeatResponse':
      return { ...envelope, type, round: input.number() };
    case 'vote': {
      const flags = input.byte();
      const kind = { pre: (flags & FLAG_PRE) !== 0, transfer: (flags & FLAG_TRANSFER) !== 0 };
      return { ...envelope, type, ...kind, lastIndex: input.number(), lastTerm: input.number() };
    }
    case 'voteResponse': {
      const flags = input.byte();
      return { ...envelope, type, pre: (flags & FLAG_PRE) !== 0, granted: (flags & FLAG_GRANTED) !== 0 };
    }
    case 'snapshot': {
      const at = { index: input.number(), term: input.number() };
      const membership = parseMembership(input.bytes());
      const digest = new TextDecoder().decode(input.bytes());
      const isDigest = digest === '' || /^[0-9a-f]{64}$/.test(digest);
      if (!membership.ok || !isDigest) return null;
      return { ...envelope, type, snapshot: { ...at, membership: membership.value, ...(digest !== '' && { digest }) } };
    }
    case 'timeoutNow':
      return { ...envelope, type };
    case 'readIndex':
      return { ...envelope, type, context: input.number() };
    case 'readIndexResponse':
      return { ...envelope, type, context: input.number(), index: input.number() };
    default:
      return assertNever(type);
  }
}

function readAppend(input: WireReader, envelope: { from: string; to: string; term: number }): AppendMessage | null {
  const prevIndex = input.number();
  const prevTerm = input.number();
  const commit = input.number();
  const count = input.number();
  if (count * ENTRY_BYTES_MIN > input.rest) return null;
  const entries: Entry[] = [];
  let before = prevTerm;
  for (let i = 1; i <= count && input.ok; i++) {
    const type = ENTRY_TYPES[input.byte()];
    const term = input.number();
    const data = input.bytes();
    // Terms in a log only rise, and none is above its sender's: anything else would make the log unreadable.
    if (type === undefined || term < before || term > envelope.term) return null;
    if (type === 'config' && !parseMembership(data).ok) return null;
    before = term;
    entries.push({ term, index: prevIndex + i, type, data });
  }
  return { ...envelope, type: 'append', prevIndex, prevTerm, commit, entries };
}

function readOutcome(input: WireReader): AppendResponseMessage['outcome'] {
  if (input.byte() === 1) return { ok: true, match: input.number() };
  return { ok: false, index: input.number(), hintIndex: input.number(), hintTerm: input.number() };
}
