import { readFileSync, statSync } from 'node:fs';

/** Keys of ssh are the longest. */
const SECRET_BYTES_MAX = 16_384;

/** Checks a file with a secret. Throws an Error that says what is wrong, and never what is in it. */
export function checkSecretFile(path: string, key: string): void {
  let stat: ReturnType<typeof statSync>;
  try {
    stat = statSync(path);
  } catch (error) {
    throw new Error(`${key}: cannot read ${path}: ${(error as Error).message}`);
  }
  if (!stat.isFile()) throw new Error(`${key}: ${path} is no file`);
  if ((stat.mode & 0o007) !== 0) throw new Error(`${key}: ${path} may be read by everybody: chmod 600 it`);
  if (stat.size > SECRET_BYTES_MAX) throw new Error(`${key}: ${path} is larger than ${SECRET_BYTES_MAX} bytes`);
}

/** What a file with a secret holds, without the end of its line. */
export function readSecretFile(path: string, key: string): string {
  checkSecretFile(path, key);
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new Error(`${key}: cannot read ${path}: ${(error as Error).message}`);
  }
}
