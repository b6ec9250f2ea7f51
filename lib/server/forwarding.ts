import { MeshError } from '../structs/errors.js';
import type { RpcCaller, RpcContext, RpcHandlers, RpcMethod } from '../transport/rpc.js';
import { assertNever } from '../util/assert.js';
import { unknownOutcome } from './consensus-errors.js';
import { type MethodClass, methodClass } from './method-class.js';
import type { ServerWorld } from './world.js';

// Every server answers everything: what only the leader can do is passed on to it, once.
//
//     asked ──▶ this server ──here, stale, blocking──▶ its own handler
//                    └──────the leader's──────▶ own handler when it leads, else the leader's, marked as forwarded
//
// While no server leads the request is held, as Nomad holds it, for a bounded time.

/** How long a request waits for somebody to lead. */
export const HOLD_MS = 5_000;
const RETRY_FIRST_MS = 20;
const RETRY_MAX_MS = 250;
/** While nobody leads it is looked so often whether somebody does: a request that was held goes on at once then. */
const LEADERLESS_MS = 20;
/** A leader that was not heard for so long is asked whether it is there before a write is entrusted to it. */
const FRESH_MS = 500;
const PING_MS = 1_000;
/** How often it is looked whether the one asked still leads. */
const WATCH_MS = 50;
/** The longest time a leader may take. */
const ANSWER_MS = 60_000;
/** Storage may take minutes to make, copy or remove a volume. */
const STORAGE_ANSWER_MS = 620_000;
const AT_THE_STORAGE: ReadonlySet<string> = new Set<RpcMethod>([
  'CSIVolume.Create',
  'CSIVolume.Delete',
  'CSIVolume.Expand',
  'CSIVolume.CreateSnapshot',
  'CSIVolume.DeleteSnapshot',
]);
/** What is said because of the state there is. */
const REFUSALS: ReadonlySet<string> = new Set(['E_BAD_REQUEST', 'E_CONFLICT', 'E_NOT_FOUND']);

type Args = { AllowStale?: boolean; MinQueryIndex?: number; Forwarded?: boolean };
type AnyHandler = (args: Args, context: RpcContext) => Promise<unknown>;

/** The handlers of a server, each answering wherever the answer is. */
export function forwarding(world: ServerWorld, handlers: RpcHandlers): RpcHandlers {
  if (!world.peers) return handlers;
  const leader = new LeaderCalls(world);
  const wrap = (method: RpcMethod, handler: AnyHandler): AnyHandler => {
    return async (args, context) => {
      const kind = methodClass(method, args);
      if (kind === 'readHere' && context.linklessMs !== undefined && leader.isLost(context.linklessMs))
        throw noLeader();
      if (isOwn(kind, args)) return handler(args, context);
      return leader.ask({ method, args, context, own: () => handler(args, context), kind });
    };
  };
  return Object.fromEntries(
    Object.entries(handlers).map(([method, handler]) => [method, wrap(method as RpcMethod, handler as AnyHandler)]),
  );
}

/** Whether the server asked answers by itself, whoever leads. */
function isOwn(kind: MethodClass, args: Args): boolean {
  switch (kind) {
    case 'here':
      return true;
    // Waiting for a change needs no leader: what is applied here wakes it.
    case 'read':
      return args.AllowStale === true || (args.MinQueryIndex ?? 0) > 0;
    case 'readHere':
      return true;
    case 'write':
    case 'again':
    case 'leaderFirst':
      return false;
    default:
      return assertNever(kind);
  }
}

interface Request {
  readonly method: RpcMethod;
  readonly args: Args;
  readonly context: RpcContext;
  readonly own: () => Promise<unknown>;
  readonly kind: MethodClass;
}

/** Finds the leader for one request after the other. */
class LeaderCalls {
  readonly #world: ServerWorld;
  /** How often leadership came or went here. */
  #changes = 0;

  constructor(world: ServerWorld) {
    this.#world = world;
    world.consensus.onLeadership(() => {
      this.#changes++;
    });
  }

  /** Whether nobody has led for so long. */
  isLost(ms: number): boolean {
    return this.#isLeaderless && this.#world.consensus.lastContactMs() >= ms;
  }

  async ask(request: Request): Promise<unknown> {
    const { now, consensus } = this.#world;
    const { linklessMs = Number.POSITIVE_INFINITY } = request.context;
    const giveUpMs = now() + Math.min(HOLD_MS, Math.max(0, linklessMs - consensus.lastContactMs()));
    for (let waitMs = RETRY_FIRST_MS; ; waitMs = Math.min(2 * waitMs, RETRY_MAX_MS)) {
      try {
        return await this.#attempt(request);
      } catch (error) {
        if (request.args.Forwarded === true || request.context.signal.aborted) throw error;
        if (request.kind === 'leaderFirst' && isForOthers(error)) return request.own();
        if (!mayRepeat(error, request.kind)) throw error;
        if (now() + waitMs >= giveUpMs) throw error;
      }
      await this.#untilLed(request.context.signal, { waitMs, giveUpMs });
    }
  }

  /** A pause, or while nobody leads the time until somebody does. */
  async #untilLed(signal: AbortSignal, { waitMs, giveUpMs }: { waitMs: number; giveUpMs: number }): Promise<void> {
    if (!this.#isLeaderless) return this.#pause(waitMs, signal);
    while (this.#isLeaderless && this.#world.now() < giveUpMs && !signal.aborted) {
      await this.#pause(LEADERLESS_MS, signal);
    }
  }

  get #isLeaderless(): boolean {
    return !this.#world.consensus.isLeader && this.#world.consensus.leader === '';
  }

  async #attempt({ method, args, context, own, kind }: Request): Promise<unknown> {
    const { consensus, peers } = this.#world;
    if (consensus.isLeader) return kind === 'read' ? own() : this.#lead(own);
    const { leader } = consensus;
    if (leader === '' || !peers) throw noLeader();
    if (args.Forwarded === true) throw new MeshError('E_NO_LEADER', 'No cluster leader here: another server leads now');
    const caller = peers.serverCaller(leader);
    if (kind === 'write') await this.#ensureThere(leader, caller, context);
    const options = { signal: context.signal, timeoutMs: AT_THE_STORAGE.has(method) ? STORAGE_ANSWER_MS : ANSWER_MS };
    const passed = { ...args, Forwarded: true } as never;
    return kind === 'write'
      ? caller.call(method, passed, options).catch((error: unknown) => this.#throwOf(leader, error))
      : this.#whileItLeads(leader, context, (signal) => caller.call(method, passed, { ...options, signal }));
  }

  /**
   * What a leader refuses it refuses because of its own state. One that was deposed and has not heard of it would go by an old one, and
   * call a job changed that is not: so a majority must stand behind it when it says no. (When it says yes, one has.)
   */
  async #lead(own: () => Promise<unknown>): Promise<unknown> {
    const { consensus } = this.#world;
    const changes = this.#changes;
    try {
      return await own();
    } catch (error) {
      if (!(error instanceof MeshError) || !REFUSALS.has(error.code)) throw error;
      // What a part of it did, if it had several, nobody knows then.
      await consensus.readIndex().catch(() => {
        throw unknownOutcome();
      });
      if (!consensus.isLeader || this.#changes !== changes) throw unknownOutcome();
      throw error;
    }
  }

  /** Throws why a write failed: when the leader was lost meanwhile, that is told, for nobody knows what it did. */
  #throwOf(leader: string, error: unknown): never {
    const { consensus } = this.#world;
    const isLost = consensus.leader !== leader || consensus.lastContactMs() > FRESH_MS;
    if (!(error instanceof MeshError) || error.code !== 'E_TIMEOUT' || !isLost) throw error;
    throw unknownOutcome(`the leader was lost while it was asked (${error.message})`);
  }

  /** A write that was handed to a server which is gone could never be repeated: nobody knows whether it was done. */
  async #ensureThere(leader: string, caller: RpcCaller, context: RpcContext): Promise<void> {
    if (this.#world.consensus.lastContactMs() <= FRESH_MS) return;
    try {
      await this.#whileItLeads(leader, context, (signal) =>
        caller.call('Status.Ping', {}, { timeoutMs: PING_MS, signal }),
      );
    } catch (error) {
      throw new MeshError('E_NO_LEADER', 'No cluster leader: the one that led does not answer', { cause: error });
    }
  }

  /** What may be repeated does not wait for a server that leads no more. */
  #whileItLeads<T>(leader: string, context: RpcContext, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { consensus, timers } = this.#world;
    const gone = new AbortController();
    return new Promise((resolve, reject) => {
      let cancel = (): void => {};
      const stop = (): void => {
        cancel();
        context.signal.removeEventListener('abort', leave);
      };
      const leave = (): void => gone.abort();
      const watch = (): void => {
        cancel = timers.setTimeout(WATCH_MS, () => {
          if (consensus.leader === leader) {
            watch();
            return;
          }
          stop();
          reject(noLeader());
          gone.abort();
        });
      };
      context.signal.addEventListener('abort', leave, { once: true });
      watch();
      call(gone.signal).then(
        (answer) => {
          stop();
          resolve(answer);
        },
        (error: unknown) => {
          stop();
          reject(error);
        },
      );
    });
  }

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        signal.removeEventListener('abort', end);
        resolve();
      };
      const cancel = this.#world.timers.setTimeout(ms, end);
      signal.addEventListener('abort', end, { once: true });
    });
  }
}

/** E_NO_LEADER says that nothing was done; after E_TIMEOUT nobody knows. */
function mayRepeat(error: unknown, kind: MethodClass): boolean {
  if (!(error instanceof MeshError)) return false;
  return error.code === 'E_NO_LEADER' || (error.code === 'E_TIMEOUT' && kind !== 'write');
}

/** Without a leader whoever is asked does what it can, and does not wait for one; so it does what a leader may not do to itself. */
function isForOthers(error: unknown): boolean {
  return error instanceof MeshError && ['E_NO_LEADER', 'E_TIMEOUT', 'E_CONFLICT'].includes(error.code);
}

function noLeader(): MeshError {
  return new MeshError('E_NO_LEADER', 'No cluster leader');
}
