import { readFile } from 'node:fs/promises';

/** A small file's text without surrounding space; null when it cannot be read (another kernel, a restricted container). */
export async function readText(path: string): Promise<string | null> {
  return await readFile(path, 'utf8').then(
    (text) => text.trim(),
    () => null,
  );
}

/** A file that holds one number; null when there is none. */
export async function readNumber(path: string): Promise<number | null> {
  const text = await readText(path);
  const value = text === null || text === '' ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : null;
}
