import { createHash } from 'node:crypto';
import { open, rename, unlink } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { ApiError } from './api.js';

/**
 * Writes an answer to a file of that name, readable by its owner only: whole, on disk, and with the digest that the agent gave,
 * or not at all.
 */
export async function saveDownload(file: string, response: IncomingMessage): Promise<void> {
  const draft = `${file}.part`;
  const handle = await open(draft, 'w', 0o600).catch((error: Error) => {
    response.destroy();
    throw new ApiError(0, `cannot write ${draft}: ${error.message}`);
  });
  try {
    const digest = createHash('sha256');
    for await (const chunk of response as AsyncIterable<Buffer>) {
      digest.update(chunk);
      await handle.writeFile(chunk);
    }
    const expected = /sha-256=(\S+)/.exec(String(response.headers['digest'] ?? ''))?.[1];
    if (expected !== undefined && expected !== digest.digest('base64')) {
      throw new ApiError(0, 'the answer was damaged on its way: its digest does not match; try again');
    }
    await handle.sync();
    await handle.close();
    await rename(draft, file);
  } catch (error) {
    await handle.close().catch(() => {});
    await unlink(draft).catch(() => {});
    if (error instanceof ApiError) throw error;
    throw new ApiError(0, `the snapshot was not saved: ${(error as Error).message}`);
  }
}
