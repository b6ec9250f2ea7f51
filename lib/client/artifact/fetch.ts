import { chmod, copyFile, lstat, mkdir, mkdtemp, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { removeTree } from '../../plugin/sdk/remove-tree.js';
import type { TaskArtifact } from '../../structs/job.js';
import type { Millis } from '../../util/clock.js';
import type { ArtifactConfig } from '../content-config.js';
import { holdDir, type InsidePath } from '../sandbox.js';
import { Bounds } from './bounds.js';
import { readChecksum, verify } from './checksum.js';
import { ArtifactError, NO_HOST_FILES, refuse, retry } from './failure.js';
import { clone } from './git.js';
import { type Download, download, downloadText } from './http.js';
import { objectPath, parseListing, parseS3, type S3Place, signedGet } from './s3.js';
import { s3Login } from './s3-login.js';
import { type ArtifactSource, parseSource, redact } from './source.js';
import { copyTree, inspectTree, moveFile, moveTree, type TreeLimits } from './tree.js';
import { archiveOf } from './unpack.js';
import { unpackApart } from './unpack-thread.js';

/** What fetching needs to know. */
export interface FetchOptions {
  config: ArtifactConfig;
  /** Where nobody but the agent can go, on the file system of the destination. */
  scratch: string;
  destination: InsidePath;
  /** Who is to own what is fetched; null = the agent. */
  owner: { uid: number; gid: number } | null;
  signal: AbortSignal;
  now: () => Millis;
  /** Hears what is done, and how far that is. */
  progress: (act: 'Downloading' | 'Unpacking', done: number, total: number | null) => void;
}

/** Lists of checksums are small. */
const TEXT_BYTES_MAX = 1024 * 1024;
const PAGES_MAX = 1_000;
/** What all of it may take beyond the longest of the times of its parts, as in Nomad. */
const TIMEOUT_EXTRA_MS: Millis = 60_000;

/** What was fetched: one file, or a directory with everything in it. */
type Fetched = { kind: 'file'; path: string; name: string } | { kind: 'dir'; path: string };

/** Fetches an artifact into its place. Throws ArtifactError; nothing is left behind but what is in its place. */
export async function fetchArtifact(artifact: TaskArtifact, options: FetchOptions): Promise<void> {
  await mkdir(options.scratch, { recursive: true, mode: 0o700 });
  const scratch = await mkdtemp(join(options.scratch, 'artifact-'));
  const { httpReadTimeoutMs, gitTimeoutMs, s3TimeoutMs } = options.config;
  const timeoutMs = Math.max(httpReadTimeoutMs, gitTimeoutMs, s3TimeoutMs) + TIMEOUT_EXTRA_MS;
  const bounds = new Bounds(scratch, { timeoutMs, signal: options.signal });
  try {
    await bounds.look(scratch);
    const source = parseSource(artifact.GetterSource, artifact.GetterOptions ?? {});
    if (!source.ok) throw refuse(source.error);
    const fetched = await fetchTo(artifact, source.value, { ...options, scratch, signal: bounds.signal });
    await place(await part(fetched, source.value.subdir), artifact.GetterMode, options);
  } catch (error) {
    throw told(artifact.GetterSource, bounds.why === null ? error : retry(bounds.why, error));
  } finally {
    bounds.end();
    await removeTree(scratch);
  }
}

function told(source: string, error: unknown): ArtifactError {
  const why = error instanceof Error ? error.message : String(error);
  const recoverable = error instanceof ArtifactError ? error.recoverable : true;
  return new ArtifactError(`failed to download artifact ${JSON.stringify(redact(source))}: ${why}`, {
    recoverable,
    cause: error,
  });
}

async function fetchTo(artifact: TaskArtifact, source: ArtifactSource, options: FetchOptions): Promise<Fetched> {
  const { config, signal } = options;
  const limits: TreeLimits = { filesMax: config.filesMax, bytesMax: config.unpackedMaxBytes, signal };
  const tree = join(options.scratch, 'tree');
  switch (source.fetcher) {
    case 'git':
      await fetchGit(source, tree, options);
      break;
    case 'file': {
      if (!config.hostFiles) throw refuse(NO_HOST_FILES);
      const info = await stat(source.url).catch(() => null);
      if (!info) throw refuse(`${source.url} does not exist`);
      if (!info.isDirectory()) return await opened(artifact, source, options, limits, source.url);
      await copyTree(source.url, tree, signal);
      break;
    }
    case 's3': {
      const file = await fetchS3(artifact, source, tree, { ...options, limits });
      if (file) return file;
      break;
    }
    case 'http':
      return await opened(artifact, source, options, limits, null);
  }
  await inspectTree(tree, limits);
  return { kind: 'dir', path: tree };
}

/** What the configuration of the agent gives to artifacts of its own environment. */
function environment({ environment: names }: ArtifactConfig): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name] as string]])),
  );
}

/** One object, or with null all below a prefix, in `tree`: a name that is no object's is a prefix, unless a file is wanted. */
async function fetchS3(
  artifact: TaskArtifact,
  source: ArtifactSource,
  tree: string,
  options: FetchOptions & { limits: TreeLimits },
): Promise<Fetched | null> {
  const { key } = await placeOf(source, options);
  const mayBeTree = artifact.GetterMode !== 'file' && !archiveOf(basename(key), source.options['archive'] ?? '');
  if (mayBeTree && (artifact.GetterMode === 'dir' || key === '' || key.endsWith('/'))) {
    await fetchObjects(artifact, source, tree, options);
    return null;
  }
  try {
    return await opened(artifact, source, options, options.limits, null);
  } catch (missing) {
    if (!mayBeTree || !(missing instanceof ArtifactError) || missing.status !== 404) throw missing;
    await fetchObjects(artifact, source, tree, options).catch((error: unknown) => {
      // Who may not list, or finds nothing, is told what is not there.
      throw error instanceof ArtifactError && !error.recoverable ? missing : error;
    });
    return null;
  }
}

async function placeOf({ url, options }: ArtifactSource, { config }: FetchOptions): Promise<S3Place> {
  return parseS3(url, options, await s3Login(options, environment(config)));
}

async function fetchGit(source: ArtifactSource, into: string, options: FetchOptions): Promise<void> {
  const { config, signal, scratch } = options;
  await clone(source, {
    into,
    scratch: join(scratch, 'key'),
    timeoutMs: config.gitTimeoutMs,
    signal,
    env: environment(config),
    local: config.hostFiles,
  });
}

/** One file: fetched unless it is there, checked, and unpacked when it is an archive. */
async function opened(
  artifact: TaskArtifact,
  source: ArtifactSource,
  options: FetchOptions,
  limits: TreeLimits,
  there: string | null,
): Promise<Fetched> {
  const { scratch } = options;
  const name =
    source.options['filename'] || basename(decodeURIComponent(there ?? new URL(source.url).pathname)) || 'index';
  if (name.includes('/') || name === '.' || name === '..') throw refuse(`the filename ${JSON.stringify(name)} is none`);
  const file = join(scratch, 'download');
  if (there !== null) await copyFile(there, file);
  else if (source.fetcher === 's3') await fetchObject(source, file, options);
  else await download(source.url, file, downloadOptions(artifact, options));
  const checksum = source.options['checksum'];
  if (checksum) await verify(file, await readChecksum(checksum, name, (url) => listText(artifact, url, options)));
  const found =
    artifact.GetterMode === 'file' && !source.options['archive']
      ? null
      : archiveOf(name, source.options['archive'] ?? '');
  if (!found) return { kind: 'file', path: file, name };
  const root = join(scratch, 'tree');
  await mkdir(root, { mode: 0o755 });
  const inner = name.endsWith(`.${found.ending}`) ? name.slice(0, -found.ending.length - 1) : name;
  const { filesMax, bytesMax } = limits;
  await unpackApart(
    { file, archive: found.archive, root, name: inner || 'index', limits: { filesMax, bytesMax } },
    { signal: options.signal, progress: (bytes) => options.progress('Unpacking', bytes, null) },
  );
  // What was only compressed is one file still.
  return found.archive.kind === 'one'
    ? { kind: 'file', path: join(root, inner || 'index'), name: inner || 'index' }
    : { kind: 'dir', path: root };
}

function downloadOptions({ GetterHeaders, GetterInsecure }: TaskArtifact, options: FetchOptions): Download {
  const { config, signal } = options;
  const progress = teller(options);
  const limits = { timeoutMs: config.httpReadTimeoutMs, maxBytes: config.httpMaxBytes };
  return { headers: GetterHeaders ?? {}, insecure: GetterInsecure, ...limits, signal, progress };
}

function teller({ progress }: FetchOptions): Download['progress'] {
  return (done, total) => progress('Downloading', done, total);
}

async function listText(artifact: TaskArtifact, url: string, options: FetchOptions): Promise<string> {
  if (!/^https?:\/\//.test(url))
    throw refuse(`a list of checksums comes over http or https, not from ${JSON.stringify(url)}`);
  return await downloadText(url, { ...downloadOptions(artifact, options), maxBytes: TEXT_BYTES_MAX });
}

async function fetchObject(source: ArtifactSource, file: string, options: FetchOptions): Promise<void> {
  const { config, signal, now } = options;
  const progress = teller(options);
  const place = await placeOf(source, options);
  const query = place.version === null ? {} : { versionId: place.version };
  const { url, headers } = signedGet(place, { path: objectPath(place, place.key), query, now: new Date(now()) });
  const limits = { timeoutMs: config.s3TimeoutMs, maxBytes: config.httpMaxBytes };
  await download(url, file, { headers, insecure: false, ...limits, signal, progress });
}

/** All objects below a prefix, as a tree. */
async function fetchObjects(
  artifact: TaskArtifact,
  source: ArtifactSource,
  tree: string,
  options: FetchOptions,
): Promise<void> {
  const { config, now } = options;
  const place = await placeOf(source, options);
  const prefix = place.key === '' || place.key.endsWith('/') ? place.key : `${place.key}/`;
  await mkdir(tree, { recursive: true });
  let next: string | null = null;
  let files = 0;
  for (let page = 0; page < PAGES_MAX; page++) {
    const query: Record<string, string> = {
      'list-type': '2',
      prefix,
      ...(next === null ? {} : { 'continuation-token': next }),
    };
    const { url, headers } = signedGet(place, {
      path: place.base === '' ? '/' : place.base,
      query,
      now: new Date(now()),
    });
    const list = { ...downloadOptions(artifact, options), headers, insecure: false, maxBytes: 16 * TEXT_BYTES_MAX };
    const listing = parseListing(await downloadText(url, list));
    for (const key of listing.keys) {
      const name = key.slice(prefix.length);
      if (name === '' || name.endsWith('/')) continue;
      files++;
      if (config.filesMax > 0 && files > config.filesMax) throw refuse(`too many files: more than ${config.filesMax}`);
      if (name.startsWith('/') || name.split('/').includes('..'))
        throw refuse(`the object ${JSON.stringify(key)} leads out of the prefix`);
      await mkdir(dirname(join(tree, name)), { recursive: true });
      await fetchObject({ ...source, url: `${place.origin}${objectPath(place, key)}` }, join(tree, name), options);
      await readable(join(tree, name));
    }
    ({ next } = listing);
    if (next === null) break;
  }
  if (files === 0) throw refuse(`there is no object below ${JSON.stringify(prefix)}`);
}

/** The part of it that the source names behind `//`. */
async function part(fetched: Fetched, subdir: string): Promise<Fetched> {
  if (subdir === '') return fetched;
  if (fetched.kind === 'file') throw refuse(`it is one file, and has no part ${JSON.stringify(subdir)}`);
  let path = fetched.path;
  for (const name of subdir.split('/').filter((piece) => piece !== '' && piece !== '.')) {
    path = join(path, name.includes('*') ? await onlyMatch(path, name) : name);
    const info = await lstat(path).catch(() => null);
    if (!info) throw refuse(`it has no part ${JSON.stringify(subdir)}`);
    if (info.isSymbolicLink()) throw refuse(`its part ${JSON.stringify(subdir)} is a link`);
  }
  return (await lstat(path)).isDirectory() ? { kind: 'dir', path } : { kind: 'file', path, name: basename(path) };
}

/** `*` in a part stands for any name, of which there must be one: archives of releases have a directory with a version. */
async function onlyMatch(path: string, pattern: string): Promise<string> {
  const [before = '', after = ''] = pattern.split('*');
  const names = (await readdir(path).catch(() => [])).filter((name) => name.startsWith(before) && name.endsWith(after));
  if (names.length !== 1) throw refuse(`${JSON.stringify(pattern)} fits ${names.length} names, not one`);
  return names[0] as string;
}

async function place(fetched: Fetched, mode: string, { destination, owner }: FetchOptions): Promise<void> {
  const { root, parts } = destination;
  const create = { mode: 0o755, ...(owner ? { owner } : {}) };
  if (mode === 'file') {
    if (fetched.kind === 'dir') throw refuse('it is a directory, and mode = "file" wants one file');
    const dir = await holdDir({ root, parts: parts.slice(0, -1) }, create);
    await moveFile(await readable(fetched.path), dir, parts.at(-1) as string, owner).finally(() => dir.handle.close());
    return;
  }
  if (mode === 'dir' && fetched.kind === 'file')
    throw refuse('it is one file, and mode = "dir" wants a directory or an archive');
  const dir = await holdDir(destination, create);
  try {
    if (fetched.kind === 'dir') await moveTree(fetched.path, dir, owner);
    else await moveFile(await readable(fetched.path), dir, fetched.name, owner);
  } finally {
    await dir.handle.close();
  }
}

/** A download was for the agent alone; tasks of any user are to read it. */
async function readable(path: string): Promise<string> {
  const { mode } = await lstat(path);
  if ((mode & 0o077) === 0) await chmod(path, 0o644);
  return path;
}
