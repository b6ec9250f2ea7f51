import { setTimeout as sleep } from 'node:timers/promises';
import type { Core } from '../../storage/index.js';
import type { BlockHolder } from '../../structs/rpc-volume-data.js';
import { byteStream } from '../../transport/byte-stream.js';
import type { RpcCaller } from '../../transport/rpc.js';
import type { Log } from '../../util/log.js';

const RETRY_MS = 2_000;
/** Whoever is there says something each five seconds. A request that met an agent which was just ending, or beginning, may be answered by nobody. */
const SILENCE_MS = 15_000;

export interface HoldersOptions {
  /** That is copied or read. */
  readonly core: Core;
  readonly rpc: RpcCaller;
  /** This node. */
  readonly nodeId: string;
  readonly holders: readonly BlockHolder[];
  readonly log: Log;
}

/** Keeps connections to nodes that have blocks of a core, over the servers, until `signal` is aborted. */
export function connectHolders(options: HoldersOptions, signal: AbortSignal): void {
  for (const holder of options.holders) void keepConnected(options, holder, signal);
}

async function keepConnected(
  { core, rpc, nodeId, log }: HoldersOptions,
  { NodeID, Token }: BlockHolder,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const messages = rpc.stream('VolumeData.Replicate', {
      NodeID,
      Asker: nodeId,
      Core: Buffer.from(core.key).toString('hex'),
      Token,
    });
    const closed = new Promise<void>((resolve) => {
      messages.once('close', resolve);
      messages.once('error', (error) =>
        log.debug('a copy of a core cannot be read', { node: NodeID, why: error.message }),
      );
    });
    const end = (): void => void messages.destroy();
    const silence = setTimeout(end, SILENCE_MS);
    messages.on('data', () => silence.refresh());
    signal.addEventListener('abort', end, { once: true });
    core.replicate(byteStream(messages), 'asks');
    await closed;
    clearTimeout(silence);
    signal.removeEventListener('abort', end);
    await sleep(RETRY_MS, null, { ref: false, signal }).catch(() => {});
  }
}
