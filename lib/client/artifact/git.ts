import { spawn } from 'node:child_process';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NO_HOST_FILES, reasonOf, refuse, retry } from './failure.js';
import type { ArtifactSource } from './source.js';

/** What a clone may take. */
export interface CloneOptions {
  /** A new directory for the working tree. */
  into: string;
  /** A directory for a key, of nobody else. */
  scratch: string;
  timeoutMs: number;
  signal: AbortSignal;
  /** Variables that git gets beside its own few. */
  env: Readonly<Record<string, string>>;
  /** Repositories on this machine are allowed. */
  local: boolean;
}

/** What is kept of git's own words. */
const OUTPUT_MAX = 4_096;
const REF = /^(?!-)[A-Za-z0-9_./@{}^~+-]+$/;

/** Clones a repository by the `git` program. Nothing that it brings is run: no hooks, no filters of its own, no helpers. */
export async function clone({ url, options }: ArtifactSource, clone: CloneOptions): Promise<void> {
  const { ref = '', depth = '', sshkey = '' } = options;
  if (ref !== '' && !REF.test(ref)) throw refuse(`the ref ${JSON.stringify(ref)} is none`);
  if (depth !== '' && !/^\d{1,9}$/.test(depth)) throw refuse(`the depth ${JSON.stringify(depth)} is no number`);
  if (!clone.local && /^(file:|\/)/.test(url)) throw refuse(NO_HOST_FILES);
  const { address, env: login } = webLogin(url);
  const env = { ...gitEnv(clone), ...(await sshEnv(sshkey, clone)), ...login };
  const run = (args: string[]): Promise<void> => git([...SAFE, ...args], env, clone);
  const shallow = depth !== '' && depth !== '0' ? ['--depth', depth] : [];
  // A shallow clone has only what is asked for, so it must be asked for by name at once.
  const isName = ref !== '' && !/^[0-9a-f]{7,64}$/.test(ref);
  const branch = shallow.length > 0 && isName ? ['--branch', ref] : [];
  await run(['clone', '--quiet', ...shallow, ...branch, '--', address, clone.into]);
  if (ref !== '' && branch.length === 0) await checkOut(ref, run, clone.into);
  await run(['-C', clone.into, 'submodule', '--quiet', 'update', '--init', '--recursive', ...shallow]);
  await rm(join(clone.scratch, 'ssh-key'), { force: true });
}

async function checkOut(ref: string, run: (args: string[]) => Promise<void>, into: string): Promise<void> {
  try {
    await run(['-C', into, 'checkout', '--quiet', '--detach', ref, '--']);
  } catch {
    await run(['-C', into, 'fetch', '--quiet', 'origin', '--', ref]);
    await run(['-C', into, 'checkout', '--quiet', '--detach', 'FETCH_HEAD', '--']);
  }
}

const SAFE = [
  '-c',
  'core.hooksPath=/dev/null',
  '-c',
  'core.symlinks=true',
  '-c',
  'credential.helper=',
  '-c',
  'advice.detachedHead=false',
];

function gitEnv({ env, local }: CloneOptions): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    HOME: '/nonexistent',
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ALLOW_PROTOCOL: local ? 'http:https:ssh:git:file' : 'http:https:ssh:git',
    GIT_LFS_SKIP_SMUDGE: '1',
    GIT_SSH_COMMAND: 'ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=/dev/null',
    ...env,
  };
}

/** The name and password of a web address, by the environment: every user of the machine can read an argument. */
function webLogin(url: string): { address: string; env: Record<string, string> } {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) return { address: url, env: {} };
  const parsed = new URL(url);
  const { username, password, origin } = parsed;
  if (username === '' && password === '') return { address: url, env: {} };
  parsed.username = '';
  parsed.password = '';
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const value = `Authorization: Basic ${Buffer.from(pair).toString('base64')}`;
  // For this host alone: a redirect to another does not take it along.
  const env = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: `http.${origin}/.extraHeader`, GIT_CONFIG_VALUE_0: value };
  return { address: parsed.href, env };
}

/** `sshkey` is a private key in base64. */
async function sshEnv(sshkey: string, { scratch }: CloneOptions): Promise<Record<string, string>> {
  if (sshkey === '') return {};
  const key = Buffer.from(sshkey.replaceAll(' ', '+'), 'base64');
  if (!key.includes('PRIVATE KEY')) throw refuse('sshkey is no private key in base64');
  await mkdir(scratch, { recursive: true });
  const file = join(scratch, 'ssh-key');
  await writeFile(file, key, { mode: 0o600 });
  await chmod(file, 0o600);
  const options =
    '-o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=/dev/null';
  return { GIT_SSH_COMMAND: `ssh -i ${shellQuote(file)} ${options}` };
}

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function git(args: string[], env: Record<string, string>, { signal, timeoutMs }: CloneOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('git', args, { env, stdio: ['ignore', 'ignore', 'pipe'], detached: true });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-OUTPUT_MAX);
    });
    // git has children of its own: its whole group is ended.
    const end = (): void => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    };
    const timer = setTimeout(end, timeoutMs);
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    child.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(
        error.code === 'ENOENT'
          ? refuse('git must be available and on the PATH of this agent')
          : retry(reasonOf(error), error),
      );
    });
    child.once('close', (code, killed) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      if (code === 0) resolve();
      else if (killed) reject(retry(signal.aborted ? 'git was ended' : `git took longer than ${timeoutMs / 1000} s`));
      else reject(retry(`git exited with ${code}: ${said.trim().replace(/(:\/\/)[^/@\s]*@/g, '$1')}`));
    });
  });
}
