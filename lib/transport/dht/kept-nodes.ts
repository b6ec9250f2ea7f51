import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../util/log.js';
import { type Address, parseAddress } from '../tcp.js';
import { formatAddress, isUsable } from './addresses.js';
import type { DhtNode } from './node.js';

const NAME = 'dht-nodes';
const NODES_MAX = 32;
const SAVE_MS = 5 * 60_000;

/** Nodes of the DHT that answered before: the way in on a day when no bootstrap node answers. */
export interface KeptNodes {
  /** Writes them down, every five minutes at most unless it is the last chance. */
  save(last?: boolean): void;
  /** Tells the node of them; false when there are none. To be asked only in need: those that are gone cost seconds. */
  recall(): boolean;
}

/** `folder`: null keeps nothing. */
export function keepNodes(node: DhtNode, folder: string | null, log: Log): KeptNodes {
  let savedAt = Number.NEGATIVE_INFINITY;
  if (folder === null) return { save() {}, recall: () => false };
  const path = join(folder, NAME);
  return {
    save(last = false) {
      const known = node.toArray({ limit: NODES_MAX });
      if (known.length === 0 || (!last && performance.now() - savedAt < SAVE_MS)) return;
      savedAt = performance.now();
      try {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        writeFileSync(`${path}.new`, known.map((address) => `${formatAddress(address)}\n`).join(''));
        renameSync(`${path}.new`, path);
      } catch (error) {
        log.debug('the nodes of the DHT were not written down', { path, error: (error as Error).message });
      }
    },
    recall() {
      const kept = read(path);
      for (const address of kept) node.addNode(address);
      return kept.length > 0;
    },
  };
}

function read(path: string): Address[] {
  try {
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, NODES_MAX);
    return lines.flatMap((line) => parseAddress(line, 0) ?? []).filter(isUsable);
  } catch {
    return [];
  }
}
