import type { Message } from '../raft/index.js';
import { decodeMessage, encodeMessage } from '../raft/index.js';
import type { Result } from '../util/result.js';
import { err, ok } from '../util/result.js';
import { WireReader, WireWriter } from '../util/wire.js';

// What one server sends another in one piece, numbers as WireWriter writes them:
//
//     version u8 │ newest version of commands u8 │ flags u8 │ instance 8 bytes │ starts │ the receiver's instance 8 bytes │ its starts
//     │ epoch │ stamp │ echo │ tick │ messages, each with its length
//
// A newer program goes on sending version 1 to whoever has not said that it knows the commands of a version that speaks more.

const VERSION = 1;
const FLAG_STRANGER = 1;
const FLAG_ADMITTED = 2;
const INSTANCE_BYTES = 8;

/** One life of a server's data: who it is, and how often it was opened. A copy of older data shows by either. */
export interface Life {
  /** 16 hexadecimal digits; '' when unknown. */
  readonly instance: string;
  readonly starts: number;
}

export const UNKNOWN_LIFE: Life = { instance: '', starts: 0 };

export interface Packet {
  /** The newest version of commands that the sender can apply; less than any real one from before it was said. */
  readonly commands: number;
  readonly life: Life;
  /** The receiver, as the sender knows it. */
  readonly toLife: Life;
  /** The sender's data has not been admitted to the group: it neither votes nor answers. */
  readonly stranger: boolean;
  /** The receiver, a stranger until now, has been admitted as it is. */
  readonly admitted: boolean;
  /** Of the sender’s group: counts up with every recovery. */
  readonly epoch: number;
  /** From the sender's clock; comes back as an echo. 0 = none. */
  readonly stamp: number;
  /** The stamp of the heartbeat that this answers; 0 = none. */
  readonly echo: number;
  /** How long a tick of the leader's group is; 0 = from somebody else. */
  readonly tickMs: number;
  readonly messages: readonly Message[];
}

export function encodePacket(packet: Packet): Uint8Array {
  const bodies = packet.messages.map(encodeMessage);
  const out = new WireWriter(64 + bodies.reduce((sum, { length }) => sum + length + 4, 0));
  out.byte(VERSION).byte(packet.commands);
  out.byte((packet.stranger ? FLAG_STRANGER : 0) | (packet.admitted ? FLAG_ADMITTED : 0));
  writeLife(out, packet.life);
  writeLife(out, packet.toLife);
  out.number(packet.epoch).number(packet.stamp).number(packet.echo).number(packet.tickMs);
  for (const body of bodies) out.bytes(body);
  return out.done();
}

/** What cannot be read is refused with the reason. */
export function decodePacket(bytes: Uint8Array, between: { from: string; to: string }): Result<Packet, string> {
  const input = new WireReader(bytes);
  const version = input.byte();
  const commands = input.byte();
  if (version !== VERSION) return err(`it speaks version ${version} of the protocol, this server ${VERSION}`);
  const flags = input.byte();
  const life = readLife(input);
  const toLife = readLife(input);
  const head = { epoch: input.number(), stamp: input.number(), echo: input.number(), tickMs: input.number() };
  const messages: Message[] = [];
  while (input.ok && input.rest > 0) {
    const message = decodeMessage(input.bytes(), between);
    if (!message.ok) return message;
    messages.push(message.value);
  }
  if (!input.ok) return err('it ends too early');
  const stranger = (flags & FLAG_STRANGER) !== 0;
  return ok({ commands, life, toLife, stranger, admitted: (flags & FLAG_ADMITTED) !== 0, ...head, messages });
}

function writeLife(out: WireWriter, { instance, starts }: Life): void {
  for (let i = 0; i < INSTANCE_BYTES; i++) out.byte(Number.parseInt(instance.slice(2 * i, 2 * i + 2), 16) || 0);
  out.number(starts);
}

function readLife(input: WireReader): Life {
  const digits = [...input.raw(INSTANCE_BYTES)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return { instance: /^0*$/.test(digits) ? '' : digits, starts: input.number() };
}
