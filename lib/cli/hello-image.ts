import { spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Readable } from 'node:stream';
import { err, ok, type Result } from '../util/result.js';

/** The image of the example job: a busybox, made on this machine so that no registry is needed. */
export const HELLO_IMAGE = 'meshnomad-hello:local';

const APPLETS = ['sh', 'httpd', 'echo', 'mkdir', 'cat', 'ls', 'ps', 'sleep', 'hostname', 'env', 'id', 'wget'];

/** Sees to it that a Docker Engine has the image; gives the engine's name and version, or why it cannot be used. */
export async function ensureHelloImage(): Promise<Result<string, string>> {
  const socketPath = engineSocket();
  if (!socketPath) return err('no Docker Engine is here');
  try {
    const version = JSON.parse(await call(socketPath, 'GET', '/version')) as { Version?: string };
    const name = `version ${version.Version ?? 'unknown'} at ${socketPath}`;
    if (await hasImage(socketPath, HELLO_IMAGE)) return ok(name);
    const busybox = findStaticBusybox();
    if (busybox) await importImage(socketPath, busybox);
    else await pullImage(socketPath);
    return (await hasImage(socketPath, HELLO_IMAGE))
      ? ok(name)
      : err(`the Docker Engine at ${socketPath} did not keep the image ${HELLO_IMAGE}`);
  } catch (error) {
    return err(`the Docker Engine at ${socketPath} cannot be used (${(error as Error).message})`);
  }
}

function engineSocket(): string | undefined {
  const host = process.env['DOCKER_HOST'];
  if (host !== undefined && host !== '') return host.startsWith('unix://') ? host.slice('unix://'.length) : undefined;
  return existsSync('/var/run/docker.sock') ? '/var/run/docker.sock' : undefined;
}

function open(socketPath: string, method: string, path: string, body?: Readable): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = body ? { 'Content-Type': 'application/x-tar', 'Transfer-Encoding': 'chunked' } : {};
    const outgoing = request({ socketPath, method, path, headers, timeout: 120_000 }, resolve);
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer within two minutes')));
    outgoing.on('error', reject);
    if (body) body.pipe(outgoing);
    else outgoing.end();
  });
}

async function call(socketPath: string, method: string, path: string, body?: Readable): Promise<string> {
  const response = await open(socketPath, method, path, body);
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  if ((response.statusCode ?? 500) >= 400) throw new Error(`${response.statusCode} ${text.trim().slice(0, 200)}`);
  // Progress comes as JSON lines with status 200; a failure among them is one all the same.
  const failure = /"error":"([^"]*)"/.exec(text);
  if (failure) throw new Error(failure[1]);
  return text;
}

async function hasImage(socketPath: string, name: string): Promise<boolean> {
  const response = await open(socketPath, 'GET', `/images/${name}/json`);
  response.resume();
  return response.statusCode === 200;
}

/** A busybox that needs no libraries of the host: one without a program interpreter. */
function findStaticBusybox(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return [...folders, '/bin', '/usr/bin']
    .map((folder) => join(folder, 'busybox'))
    .find((path) => existsSync(path) && isStatic(path));
}

function isStatic(path: string): boolean {
  const head = Buffer.alloc(4096);
  const file = openSync(path, 'r');
  const size = readSync(file, head, 0, head.length, 0);
  closeSync(file);
  // ELF, 64 bit, little endian; PT_INTERP is 3.
  if (size < 64 || head.readUInt32BE(0) !== 0x7f454c46 || head[4] !== 2 || head[5] !== 1) return false;
  const start = Number(head.readBigUInt64LE(32));
  const entrySize = head.readUInt16LE(54);
  const count = head.readUInt16LE(56);
  for (let i = 0; i < count && start + i * entrySize + 4 <= size; i++) {
    if (head.readUInt32LE(start + i * entrySize) === 3) return false;
  }
  return true;
}

async function importImage(socketPath: string, busybox: string): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'meshnomad-hello-'));
  try {
    for (const folder of ['bin', 'tmp', 'etc', 'www']) mkdirSync(join(root, folder));
    copyFileSync(busybox, join(root, 'bin/busybox'));
    chmodSync(join(root, 'bin/busybox'), 0o755);
    for (const applet of APPLETS) symlinkSync('busybox', join(root, 'bin', applet));
    const tar = spawn('tar', ['-C', root, '-cf', '-', '.'], { stdio: ['ignore', 'pipe', 'ignore'] });
    const [repo, tag] = HELLO_IMAGE.split(':');
    const said = await call(socketPath, 'POST', `/images/create?fromSrc=-&repo=${repo}&tag=${tag}`, tar.stdout);
    // Podman's compatible API imports, but leaves the tag out.
    const id = /sha256:[0-9a-f]{64}/.exec(said)?.[0];
    if (id) await call(socketPath, 'POST', `/images/${id}/tag?repo=${repo}&tag=${tag}`);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function pullImage(socketPath: string): Promise<void> {
  await call(socketPath, 'POST', '/images/create?fromImage=busybox&tag=stable');
  const [repo, tag] = HELLO_IMAGE.split(':');
  await call(socketPath, 'POST', `/images/busybox:stable/tag?repo=${repo}&tag=${tag}`);
}
