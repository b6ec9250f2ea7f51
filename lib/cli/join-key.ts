import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from './command.js';
import { readSecret } from './read-secret.js';

type Env = Record<string, string | undefined>;

/** Longer than any invite is. */
const KEY_CHARS_MAX = 64 * 1024;

/**
 * The invite, from wherever it was given: `-key-file`, an argument (the invite itself, `@path`, or `-` for standard input), the
 * environment, or a credential of systemd. On the command line others on the machine can read it: files are better.
 */
export async function readJoinKey(options: {
  args: readonly string[];
  keyFile: string | undefined;
  env: Env;
  command: string;
}): Promise<string> {
  const { args, keyFile, env, command } = options;
  const [argument] = args;
  if (args.length > 1) throw new UsageError('give one invite only');
  if (keyFile !== undefined && argument !== undefined) throw new UsageError('give the invite or -key-file, not both');
  if (keyFile !== undefined) return readKeyFile(keyFile);
  if (argument === '-') return readSecret('Paste the invite: ');
  if (argument?.startsWith('@')) return readKeyFile(argument.slice(1));
  if (argument !== undefined) return argument;
  if (env['MESHNOMAD_JOIN_KEY']) return env['MESHNOMAD_JOIN_KEY'];
  const credential = join(env['CREDENTIALS_DIRECTORY'] ?? '', 'join-key');
  if (env['CREDENTIALS_DIRECTORY'] && existsSync(credential)) return readKeyFile(credential);
  throw new UsageError(
    `no invite was given: make one with "meshnomad invite" on a machine of the mesh, then meshnomad ${command} <invite>, @file, or - to paste it`,
  );
}

function readKeyFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').slice(0, KEY_CHARS_MAX).trim();
  } catch (error) {
    throw new UsageError(`the invite cannot be read from ${path}: ${(error as Error).message}`);
  }
}
