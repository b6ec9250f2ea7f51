import { MeshError } from '../structs/errors.js';
import type { Node } from '../structs/node.js';
import type { NodeUpdateReply } from '../structs/rpc.js';
import type { RpcCaller } from '../transport/rpc.js';
import { backoffMs } from '../util/backoff.js';
import type { Millis } from '../util/clock.js';
import type { Log } from '../util/log.js';
import type { Random } from '../util/random.js';
import { sleep, type Timers } from './timers.js';

const CALL_TIMEOUT_MS: Millis = 10_000;
/** The first attempts are close together: at a cold start the server in the same process is about to lead. */
const REGISTER_RETRY = { baseMs: 25, maxMs: 15_000 };
const HEARTBEAT_RETRY = { baseMs: 500, maxMs: 10_000 };
/** Until a server has said otherwise. */
const HEARTBEAT_TTL_MS: Millis = 10_000;

export interface RegistrationOptions {
  rpc: RpcCaller;
  node: () => Node;
  timers: Timers;
  random: Random;
  log: Log;
  /** How long the servers may be left without a heartbeat, whatever time they give. */
  beatMs: () => Millis;
  /** Hears each time that a server has acknowledged this node. */
  onContact: (nowMs: Millis) => void;
  /** Hears each successful registration. */
  onRegistered: () => void;
  /** Hears when the heartbeat was sent that has renewed the leases of this node. */
  onLeaseRenewed: (sentMs: Millis) => void;
  /** Hears whom a client may ask next. */
  onServers: (servers: string[]) => void;
}

/**
 * Makes the node known and keeps saying that it lives:
 *   register (until it works) ─► wait for the TTL ─► heartbeat ─► wait …
 * A changed node, or a server that does not know it, leads back to register.
 */
export class Registration {
  private readonly options: RegistrationOptions;
  private wake = new AbortController();
  private changed = false;
  private okMs: Millis | null = null;
  private ttlMs: Millis = HEARTBEAT_TTL_MS;
  /** When the next heartbeat is due; 0 = one is under way. */
  private nextMs: Millis = 0;

  constructor(options: RegistrationOptions) {
    this.options = options;
  }

  /** When a server last acknowledged this node; null = never. */
  get lastContactMs(): Millis | null {
    return this.okMs;
  }

  get heartbeatTtlMs(): Millis {
    return this.ttlMs;
  }

  /** The node has changed: tells the servers now. */
  refresh(): void {
    this.changed = true;
    this.wake.abort();
  }

  /** There may be a reason now to be heard of sooner. */
  hasten(): void {
    if (this.nextMs - this.options.timers.now() > this.options.beatMs()) this.wake.abort();
  }

  /** Runs until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    let known = false;
    for (let attempt = 0; !signal.aborted; ) {
      try {
        if (known && !this.changed) await this.heartbeat(signal);
        else await this.register(known, signal);
        known = true;
        attempt = 0;
        await this.pause(Math.min(this.ttlMs, this.options.beatMs()), signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof MeshError && error.code === 'E_NOT_FOUND') known = false;
        const why = error instanceof Error ? error.message : String(error);
        const what = known ? 'heartbeat failed' : 'node could not be registered';
        // A cold start asks before the server can answer: that is no news.
        this.options.log[attempt < 4 ? 'debug' : 'warn'](`${what}, will be tried again`, { why });
        const retry = known ? HEARTBEAT_RETRY : REGISTER_RETRY;
        await this.pause(backoffMs({ attempt: attempt++, ...retry, random: this.options.random }), signal);
      }
    }
  }

  /** `known`: the servers have it already, and hear what has changed. */
  private async register(known: boolean, signal: AbortSignal): Promise<void> {
    this.changed = false;
    const { rpc, node, log } = this.options;
    try {
      const Node = node();
      const sentMs = this.options.timers.now();
      this.heard(await rpc.call('Node.Register', { Node }, { signal, timeoutMs: CALL_TIMEOUT_MS }), sentMs);
      log.info(known ? 'the servers know what has changed on this node' : 'node registered', {
        node: Node.ID,
        name: Node.Name,
      });
    } catch (error) {
      this.changed = true;
      throw error;
    }
    this.options.onRegistered();
  }

  private async heartbeat(signal: AbortSignal): Promise<void> {
    const { ID: NodeID, SecretID } = this.options.node();
    const args = { NodeID, SecretID, Status: 'ready' } as const;
    const sentMs = this.options.timers.now();
    this.heard(await this.options.rpc.call('Node.UpdateStatus', args, { signal, timeoutMs: CALL_TIMEOUT_MS }), sentMs);
  }

  private heard(reply: NodeUpdateReply, sentMs: Millis): void {
    this.okMs = this.options.timers.now();
    this.options.onContact(this.okMs);
    if (reply.LeaseRenewed === true) this.options.onLeaseRenewed(sentMs);
    if (reply.HeartbeatTTLMs > 0) this.ttlMs = reply.HeartbeatTTLMs;
    if (reply.Servers.length > 0) this.options.onServers(reply.Servers);
  }

  private async pause(ms: Millis, signal: AbortSignal): Promise<void> {
    if (this.changed && this.wake.signal.aborted) {
      this.wake = new AbortController();
      return;
    }
    this.nextMs = this.options.timers.now() + ms;
    await sleep(this.options.timers, ms, signal, this.wake.signal);
    this.nextMs = 0;
    if (this.wake.signal.aborted) this.wake = new AbortController();
  }
}
