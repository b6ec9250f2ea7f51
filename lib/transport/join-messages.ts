import type { Duplex } from 'node:stream';
import { ERRORS, type ErrorCode, MeshError } from '../structs/errors.js';
import type { MeshInfo, MeshMember, NodeKey } from '../structs/mesh.js';
import type { RosterReply } from '../structs/rpc-mesh.js';
import { isKey } from './signature.js';

// join/1, what is spoken on the connection of an invite, and nothing else: frames of [u32 length, little endian][JSON].
//
//   joiner                                server
//     | -- join ---------------------------> |
//     | <------------------------- [carried]   by a member that is no server: from here on its bytes go to one, and the
//     |                                        joiner begins again, with a handshake of its own inside
//     | <--------------------------- server  |   its certificates, a signature over the handshake
//     | -- request ------------------------> |   its own key, proven over the handshake; name, facts
//     | <-------------- pending, wait, wait  |   only when somebody has to approve
//     | <------------------ joined | refused |

export const JOIN_VERSION = 1;
/** What a joiner may say, and what a server may answer: a long chain, the servers, and room. */
export const REQUEST_MAX_BYTES = 16 * 1024;
export const ANSWER_MAX_BYTES = 256 * 1024;

/** Where a server is to be reached. */
export interface ServerPlace {
  readonly Key: NodeKey;
  /** `host:port`, the public one first. */
  readonly Addresses: readonly string[];
}

export interface JoinRequest {
  readonly Type: 'request';
  readonly Key: NodeKey;
  readonly Name: string;
  readonly Rename: boolean;
  readonly Facts: Record<string, string>;
  readonly Replace: string;
  /** Over the handshake's hash and the key; base64url. */
  readonly Signature: string;
}

export interface JoinedAnswer {
  readonly Type: 'joined';
  readonly Member: MeshMember;
  readonly Mesh: MeshInfo;
  /** The servers among the members: enough to ask for all. */
  readonly Members: RosterReply['Members'];
  readonly Places: readonly ServerPlace[];
}

export type JoinMessage =
  | { readonly Type: 'join'; readonly Version: number }
  | { readonly Type: 'carried' }
  | { readonly Type: 'server'; readonly Version: number; readonly Chain: readonly string[]; readonly Signature: string }
  | JoinRequest
  | { readonly Type: 'pending'; readonly Name: string; readonly Words: string }
  | { readonly Type: 'wait' }
  | JoinedAnswer
  | { readonly Type: 'refused'; readonly Code: string; readonly Message: string };

const NAME_MAX = 128;
const FACTS_MAX = 32;
const FACT_MAX = 256;

/** A joiner's request, checked in form; throws E_BAD_REQUEST. */
export function readRequest(message: JoinMessage): JoinRequest {
  const { Key, Name, Rename, Facts, Replace, Signature } = message as unknown as Record<string, unknown>;
  const texts = [Name, Replace].every((text) => typeof text === 'string' && text.length <= NAME_MAX);
  const facts =
    typeof Facts === 'object' && Facts !== null && !Array.isArray(Facts) ? Object.entries(Facts) : undefined;
  const good = facts?.every(([key, text]) => typeof text === 'string' && key.length + text.length <= FACT_MAX);
  if (
    message.Type !== 'request' ||
    !isKey(Key) ||
    !texts ||
    typeof Rename !== 'boolean' ||
    typeof Signature !== 'string' ||
    !good ||
    (facts?.length ?? 0) > FACTS_MAX
  ) {
    throw new MeshError('E_BAD_REQUEST', 'this is no request to join');
  }
  return message as JoinRequest;
}

/** The refusal as an error of the joiner's. */
export function refusal({ Code, Message }: { Code: string; Message: string }): MeshError {
  const code = Object.hasOwn(ERRORS, Code) ? (Code as ErrorCode) : 'E_INTERNAL';
  return new MeshError(code, String(Message).slice(0, 1_000));
}

/** Messages over a byte stream, one at a time. */
export class JoinChannel {
  readonly #stream: Duplex;
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #size = 0;
  #ended = false;
  #wake = (): void => {};

  constructor(stream: Duplex, maxBytes: number) {
    this.#stream = stream;
    this.#maxBytes = maxBytes;
    stream.on('data', this.#take);
    stream.on('end', this.#end);
    stream.on('close', this.#end);
    stream.on('error', this.#end);
  }

  get ended(): boolean {
    return this.#ended;
  }

  send(message: JoinMessage): void {
    if (this.#stream.destroyed || this.#stream.writableEnded) return;
    const json = Buffer.from(JSON.stringify(message));
    const head = Buffer.alloc(4);
    head.writeUInt32LE(json.length);
    this.#stream.write(Buffer.concat([head, json]));
  }

  /** The next message; rejects with E_TIMEOUT when none comes in time or the other side is gone, E_BAD_REQUEST for garbage. */
  async receive(timeoutMs: number, signal?: AbortSignal): Promise<JoinMessage> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const message = this.#next();
      if (message) return message;
      if (this.#ended) throw new MeshError('E_TIMEOUT', 'the connection ended before the answer came');
      signal?.throwIfAborted();
      const left = deadline - performance.now();
      if (left <= 0) throw new MeshError('E_TIMEOUT', `nothing was said for ${Math.round(timeoutMs / 1000)} s`);
      await this.#changed(left, signal);
    }
  }

  /** Gives the stream back: its bytes are no messages from here on. */
  release(): Duplex {
    this.#stream.off('data', this.#take);
    this.#stream.off('end', this.#end);
    this.#stream.off('close', this.#end);
    this.#stream.pause();
    if (this.#size > 0) this.#stream.unshift(Buffer.concat(this.#chunks));
    return this.#stream;
  }

  /** Says no more; what was said still goes out. */
  close(): void {
    this.#stream.end();
    this.#stream.resume();
    // Who does not close its own end in return is cut.
    setTimeout(() => this.#stream.destroy(), 2_000).unref();
  }

  #next(): JoinMessage | undefined {
    if (this.#size < 4) return undefined;
    const all = Buffer.concat(this.#chunks);
    this.#chunks = [all];
    const length = all.readUInt32LE(0);
    if (length > this.#maxBytes)
      throw new MeshError('E_BAD_REQUEST', `a message of ${length} bytes is no part of join/1`);
    if (all.length < length + 4) return undefined;
    this.#chunks = [all.subarray(length + 4)];
    this.#size -= length + 4;
    let value: unknown;
    try {
      value = JSON.parse(all.toString('utf8', 4, length + 4));
    } catch {
      value = undefined;
    }
    if (typeof value !== 'object' || value === null) throw new MeshError('E_BAD_REQUEST', 'this is not join/1');
    return value as JoinMessage;
  }

  #changed(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        this.#wake = () => {};
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener('abort', done, { once: true });
      this.#wake = done;
    });
  }

  readonly #take = (chunk: Buffer): void => {
    this.#size += chunk.length;
    this.#chunks.push(chunk);
    // More than one message and its head is nothing that join/1 ever has under way.
    if (this.#size > 2 * (this.#maxBytes + 4)) {
      this.#chunks = [];
      this.#size = 0;
      this.#ended = true;
      this.#stream.destroy();
    }
    this.#wake();
  };

  readonly #end = (): void => {
    this.#ended = true;
    this.#wake();
  };
}
