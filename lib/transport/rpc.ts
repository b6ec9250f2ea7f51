import type { Duplex } from 'node:stream';
import type { MeshRole, NodeKey } from '../structs/mesh.js';
import type { RpcMethods, RpcStreams } from '../structs/rpc.js';

export type RpcMethod = keyof RpcMethods;
export type RpcStreamMethod = keyof RpcStreams;

/** Who asks, and whether they still wait. */
export interface RpcContext {
  /** Aborted when the caller went away or its deadline passed: blocking queries end then. */
  readonly signal: AbortSignal;
  /** As in `CallOptions`, of a caller in this process: so long it would have waited for a leader. */
  readonly linklessMs?: number;
  /** The member at the other end of the link, proven; absent = this very process (its HTTP API, its own client). */
  readonly peer?: { readonly key: NodeKey; readonly role: MeshRole; readonly name: string };
}

export interface CallOptions {
  signal?: AbortSignal;
  timeoutMs?: number;
  /** The call fails once no server was linked for so long, counted from when the last link was lost; absent = 5 s from now. */
  linklessMs?: number;
}

/**
 * One who can be asked: the server in this process, or one at the other end of a link.
 * Failures arrive as MeshError with the code given by whoever answered.
 */
export interface RpcCaller {
  call<M extends RpcMethod>(
    method: M,
    args: RpcMethods[M]['args'],
    options?: CallOptions,
  ): Promise<RpcMethods[M]['reply']>;
  /**
   * Opens a stream of messages: an object-mode Duplex that yields `output` messages and takes `input` ones. It ends when
   * the other side is done and is destroyed with a MeshError when it failed; destroying it stops the other side.
   */
  stream<M extends RpcStreamMethod>(method: M, args: RpcStreams[M]['args']): Duplex;
}

export type RpcHandler<M extends RpcMethod> = (
  args: RpcMethods[M]['args'],
  context: RpcContext,
) => Promise<RpcMethods[M]['reply']>;

/**
 * Serves one stream: writes `output` messages, reads `input` ones, ends or destroys the stream when done. The context's
 * signal is aborted when the stream is closed.
 */
export type RpcStreamHandler<M extends RpcStreamMethod> = (
  args: RpcStreams[M]['args'],
  stream: Duplex,
  context: RpcContext,
) => void;

/** What a role answers: a handler for each of the methods it serves. */
export type RpcHandlers = { [M in RpcMethod]?: RpcHandler<M> };
export type RpcStreamHandlers = { [M in RpcStreamMethod]?: RpcStreamHandler<M> };
