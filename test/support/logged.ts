import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unpackCommand } from '../../lib/server/packed-command.js';
import { openRaftLog } from '../../lib/storage/index.js';

const ENTRY_BYTES_MAX = 1 << 26;

/** The commands in the log of a server with this data directory as they were before they were packed: a search finds what is in them. */
export async function loggedCommands(dataDir: string): Promise<string> {
  const copy = mkdtempSync(join(tmpdir(), 'logged-'));
  try {
    // The server has its own open.
    cpSync(join(dataDir, 'server/raft/log'), copy, { recursive: true });
    const log = await openRaftLog(copy);
    const texts: string[] = [];
    for (let index = log.firstIndex(); index <= log.lastIndex(); index++) {
      const [entry] = log.entries(index, index, ENTRY_BYTES_MAX);
      if (entry?.type === 'command') texts.push(Buffer.from(unpackCommand(entry.data)).toString());
    }
    await log.close();
    return texts.join('\n');
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
