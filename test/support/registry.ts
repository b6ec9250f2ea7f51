// An image registry on loopback, as the engine's pull sees one: one image under every name, slow or silent where a test wants it.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { findProgram } from './dockerd.js';

export interface TestRegistry {
  /** `127.0.0.1:port`: what stands before an image's name. Engines ask such an address without TLS. */
  host: string;
  /** Who may pull; null = everybody. Asked for as a registry of its own does (basic), or by a token as Docker Hub does. */
  access: { username: string; password: string; scheme: 'basic' | 'bearer' } | null;
  /** How fast layers come, in bytes a second; 0 = they stop half way and never go on. */
  bytesPerSecond: number;
  /** The names whose manifests were given. */
  given: string[];
  close(): Promise<void>;
}

const TOKEN = 'a-token-of-this-registry';
const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const SLICES_PER_SECOND = 10;

interface Blob {
  type: string;
  content: Buffer;
}

/** Starts one that gives an image of busybox (`/bin/sh` and some tools) that sleeps for ten minutes. */
export async function startRegistry(): Promise<TestRegistry> {
  const images = new Images();
  const registry: TestRegistry = {
    host: '',
    access: null,
    bytesPerSecond: Number.POSITIVE_INFINITY,
    given: [],
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const server = createServer((asked, answer) => {
    void serve(registry, images, asked, answer).catch(() => answer.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  registry.host = `127.0.0.1:${(server.address() as { port: number }).port}`;
  return registry;
}

async function serve(
  registry: TestRegistry,
  images: Images,
  asked: IncomingMessage,
  answer: ServerResponse,
): Promise<void> {
  const { pathname } = new URL(asked.url ?? '', 'http://registry');
  if (pathname === '/token') {
    if (!isUser(registry, asked.headers.authorization)) return refuse(answer, 401, 'UNAUTHORIZED');
    return give(answer, { type: 'application/json', content: Buffer.from(JSON.stringify({ token: TOKEN })) });
  }
  if (!mayPull(registry, asked.headers.authorization)) {
    const realm = `http://${registry.host}/token`;
    const basic = 'Basic realm="registry"';
    const challenge = registry.access?.scheme === 'bearer' ? `Bearer realm="${realm}",service="registry"` : basic;
    answer.setHeader('WWW-Authenticate', challenge);
    return refuse(answer, 401, 'UNAUTHORIZED');
  }
  if (pathname === '/v2/') return give(answer, { type: 'application/json', content: Buffer.from('{}') });
  const name = /^\/v2\/(.+)\/manifests\/[^/]+$/.exec(pathname)?.[1];
  if (name !== undefined) {
    if (asked.method === 'GET') registry.given.push(name);
    const manifest = await images.manifestOf(name);
    answer.setHeader('Docker-Content-Digest', digestOf(manifest.content));
    return give(answer, manifest, asked.method === 'HEAD');
  }
  const blob = images.blobs.get(/\/blobs\/(.+)$/.exec(pathname)?.[1] ?? '');
  if (!blob) return refuse(answer, 404, 'NAME_UNKNOWN');
  if (blob.content.length < 10_000 || registry.bytesPerSecond === Number.POSITIVE_INFINITY) return give(answer, blob);
  answer.writeHead(200, { 'Content-Type': blob.type, 'Content-Length': blob.content.length });
  await dribble(registry, answer, blob.content);
}

/** Gives the content at the registry's pace, which may change meanwhile; ends with the connection. */
async function dribble(registry: TestRegistry, answer: ServerResponse, content: Buffer): Promise<void> {
  let at = 0;
  while (at < content.length && !answer.destroyed) {
    const isSilent = registry.bytesPerSecond === 0;
    const size = Math.min(content.length, registry.bytesPerSecond / SLICES_PER_SECOND);
    if (!isSilent || at < content.length / 2) {
      const end = isSilent ? Math.ceil(content.length / 2) : Math.min(content.length, Math.ceil(at + size));
      answer.write(content.subarray(at, end));
      at = end;
    }
    await sleep(1000 / SLICES_PER_SECOND);
  }
  answer.end();
}

function isUser({ access }: TestRegistry, given: string | undefined): boolean {
  return (
    access === null || given === `Basic ${Buffer.from(`${access.username}:${access.password}`).toString('base64')}`
  );
}

function mayPull(registry: TestRegistry, given: string | undefined): boolean {
  return registry.access?.scheme === 'bearer' ? given === `Bearer ${TOKEN}` : isUser(registry, given);
}

function give(answer: ServerResponse, { type, content }: Blob, isHead = false): void {
  answer.writeHead(200, { 'Content-Type': type, 'Content-Length': content.length });
  answer.end(isHead ? undefined : content);
}

function refuse(answer: ServerResponse, status: number, code: string): void {
  answer.writeHead(status, { 'Content-Type': 'application/json' });
  answer.end(JSON.stringify({ errors: [{ code, message: 'refused by this registry' }] }));
}

function digestOf(content: Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

/** An image for every name, made when it is asked for: none shares a layer with another. */
class Images {
  readonly blobs = new Map<string, Blob>();
  readonly #manifests = new Map<string, Promise<Blob>>();

  manifestOf(name: string): Promise<Blob> {
    const made = this.#manifests.get(name) ?? this.#make(name);
    this.#manifests.set(name, made);
    return made;
  }

  async #make(name: string): Promise<Blob> {
    const tar = await makeLayer(name);
    const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
    const rootfs = { type: 'layers', diff_ids: [digestOf(tar)] };
    const settings = { architecture, os: 'linux', config: { Cmd: ['/bin/sleep', '600'], Env: ['PATH=/bin'] }, rootfs };
    const config = this.#keep('application/vnd.docker.container.image.v1+json', Buffer.from(JSON.stringify(settings)));
    const layer = this.#keep('application/vnd.docker.image.rootfs.diff.tar.gzip', gzipSync(tar, { level: 1 }));
    const manifest = { schemaVersion: 2, mediaType: MANIFEST, config, layers: [layer] };
    return { type: MANIFEST, content: Buffer.from(JSON.stringify(manifest)) };
  }

  #keep(mediaType: string, content: Buffer): object {
    const digest = digestOf(content);
    this.blobs.set(digest, { type: mediaType, content });
    return { mediaType, size: content.length, digest };
  }
}

async function makeLayer(name: string): Promise<Buffer> {
  const busybox = findProgram('busybox');
  if (!busybox) throw new Error('busybox is not installed (busybox-static)');
  const archive = pack();
  archive.entry({ name: 'name' }, `${name} ${process.pid} ${Math.random()}`);
  archive.entry({ name: 'bin/busybox', mode: 0o755 }, readFileSync(busybox));
  for (const name of ['sh', 'true', 'sleep', 'echo', 'cat'])
    archive.entry({ name: `bin/${name}`, type: 'symlink', linkname: 'busybox' });
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
