import { createSocket } from 'node:dgram';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const NAME = 'udp-port';
/** hyperdht's own. */
const USUAL = 49_737;

/**
 * The port that was kept, or one that is chosen now and kept: others have it in their address books. Another program may have
 * taken it meanwhile; a machine that is found a little later is better than one that does not start. 0 = any, when nothing is kept.
 */
export async function keptPort(options: {
  folder: string | null;
  host: string | undefined;
  onMoved: (from: number, to: number) => void;
}): Promise<number> {
  const { folder, host, onMoved } = options;
  if (folder === null) return 0;
  const path = join(folder, NAME);
  const known = read(path);
  if (known !== undefined && (await tryPort(known, host)) !== undefined) return known;
  const port = (await tryPort(USUAL, host)) ?? (await tryPort(0, host)) ?? USUAL;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, `${port}\n`);
  renameSync(`${path}.new`, path);
  if (known !== undefined) onMoved(known, port);
  return port;
}

/** A damaged file costs the others one search, and no more. */
function read(path: string): number | undefined {
  try {
    const text = readFileSync(path, 'utf8').trim();
    const port = Number(text);
    return /^\d{1,5}$/.test(text) && port > 0 && port <= 65_535 ? port : undefined;
  } catch {
    return undefined;
  }
}

/** The port if it can be bound (0: any one that can), else undefined. */
function tryPort(port: number, host: string | undefined): Promise<number | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket({ type: 'udp4', reuseAddr: false });
    socket.once('error', () => {
      socket.close();
      resolve(undefined);
    });
    socket.bind({ port, exclusive: true, ...(host === undefined ? {} : { address: host }) }, () => {
      const bound = socket.address().port;
      socket.close(() => resolve(bound));
    });
  });
}
