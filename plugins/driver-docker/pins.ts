import { constants } from 'node:fs';
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  realpath,
  rmdir,
  stat,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { DriverOptions, TaskConfig } from '../../lib/plugin/sdk/driver.js';
import { CommandError, listMounts, runCommand } from '../../lib/plugin/sdk/mounts.js';
import type { DockerConfig, DockerOptions } from './config.js';
import type { EnginePlace } from './engine.js';
import { bindSources, isWithin, leadsOut, refuseLinksOut, type Source } from './host-paths.js';
import { containerName } from './labels.js';
import { refused } from './refused.js';

// What a task's config binds out of its allocation's directory is named by a path there, and the engine follows links: a task that
// runs already could put one there between the check and the bind. So it is opened first, and looked at where it lies; what was
// opened is mounted at a place that no task can reach, for as long as the container is there; and the engine is given that place.

/** Opens without a right to read or write. */
const O_PATH = 0o10000000;
const PROPAGATIONS_OF_OWN = ['', 'private', 'rprivate'];

/** Keeps the places of all containers' binds. */
export class Pins {
  readonly #options: DockerOptions;
  readonly #place: EnginePlace;
  readonly #dir: string;
  readonly #log: DriverOptions['log'];
  /** Whether the engine sees what is mounted here; undefined while nobody asked. */
  #canPin: boolean | undefined;

  constructor(options: DockerOptions, place: EnginePlace, { stateDir, log }: Pick<DriverOptions, 'stateDir' | 'log'>) {
    this.#options = options;
    this.#place = place;
    this.#dir = join(stateDir, 'binds');
    this.#log = log;
  }

  /** Where a task's container finds what its config binds out of its allocation's directory; by path, as far as it is elsewhere. */
  async take(task: TaskConfig<DockerConfig>): Promise<ReadonlyMap<string, string>> {
    if (this.#options.volumes?.enabled) return new Map();
    const sources = bindSources(task, this.#options);
    if (sources.length === 0) return new Map();
    this.#canPin ??= await canPin(this.#place);
    const dir = join(this.#dir, containerName(task));
    if (this.#canPin) return pinSources(sources, { allocDir: task.allocDir, dir });
    // The best that can be done: a look shortly before.
    await refuseLinksOut(task, this.#options);
    return new Map();
  }

  /** The container is no more. Idempotent. */
  async release(task: TaskConfig): Promise<void> {
    await this.#release(containerName(task));
  }

  /** Takes those of all containers away that are not named. */
  async releaseOthers(names: ReadonlySet<string>): Promise<void> {
    const found = await readdir(this.#dir).catch(() => []);
    for (const name of found) if (!names.has(name)) await this.#release(name);
  }

  async #release(name: string): Promise<void> {
    await releasePins(join(this.#dir, name)).catch((error) => {
      this.#log('warn', 'binds of a container are left', { container: name, error: String(error) });
    });
  }
}

/** Makes the places of a container's binds: path as the config has it → where it is mounted. Throws a DriverError; then none is left. */
async function pinSources(
  sources: readonly Source[],
  { allocDir, dir }: { allocDir: string; dir: string },
): Promise<ReadonlyMap<string, string>> {
  const pins = new Map<string, string>();
  const root = await realpath(allocDir);
  // Of a container that is no more.
  await releasePins(dir);
  try {
    for (const source of sources) {
      if (pins.has(source.path)) continue;
      if (!PROPAGATIONS_OF_OWN.includes(source.propagation)) {
        throw refused(
          `mount: propagation "${source.propagation}" within the allocation's directory is not possible on this node; write volumes { enabled = true } in the config of its plugin`,
        );
      }
      const pin = join(dir, String(pins.size));
      const handle = await openWithin(root, source);
      try {
        await pinTo(pin, handle, source);
      } finally {
        await handle.close();
      }
      pins.set(source.path, pin);
    }
  } catch (error) {
    await releasePins(dir);
    if (error instanceof CommandError) throw refused(`a bind cannot be made: ${error.message}`);
    throw error;
  }
  return pins;
}

/** Takes a container's places away. Idempotent. */
async function releasePins(dir: string): Promise<void> {
  const names = await readdir(dir).catch(() => []);
  if (names.length === 0) return;
  const mounts = await listMounts();
  for (const name of names) {
    const pin = join(dir, name);
    if (mounts.some(({ target }) => target === pin)) await runCommand('umount', ['--recursive', '--lazy', '--', pin]);
    // Never what is in it: should something be mounted there yet, this fails.
    await rmdir(pin).catch(() => unlink(pin));
  }
  await rmdir(dir);
}

/**
 * Whether the engine sees what this agent mounts: both run on this machine, and nobody has a tree of mounts of its own. An agent in a
 * container, say, can pin nothing.
 */
async function canPin({ endpoint }: EnginePlace): Promise<boolean> {
  const path = endpoint.replace(/^unix:\/\//, '');
  if (process.getuid?.() !== 0 || !path.startsWith('/')) return false;
  try {
    const inodes = await listeningInodes(await realpath(path));
    const own = await readlink('/proc/self/ns/mnt');
    const holders = await holdersOf(inodes);
    return holders.length > 0 && holders.every((namespace) => namespace === own);
  } catch {
    return false;
  }
}

async function listeningInodes(path: string): Promise<Set<string>> {
  const inodes = new Set<string>();
  for (const line of (await readFile('/proc/net/unix', 'utf8')).split('\n')) {
    const [, , , flags, , , inode, bound] = line.trim().split(/\s+/);
    if (flags !== '00010000' || !inode || !bound?.endsWith(basename(path))) continue;
    if ((await realpath(bound).catch(() => '')) === path) inodes.add(inode);
  }
  return inodes;
}

/** The mount namespaces of the processes that listen there. */
async function holdersOf(inodes: ReadonlySet<string>): Promise<string[]> {
  const namespaces: string[] = [];
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    const fds = await readdir(`/proc/${pid}/fd`).catch(() => []);
    const links = await Promise.all(fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
    if (!links.some((link) => inodes.has(/^socket:\[(\d+)\]$/.exec(link)?.[1] ?? ''))) continue;
    namespaces.push(await readlink(`/proc/${pid}/ns/mnt`));
  }
  return namespaces;
}

/** Opens what lies at a path, after whatever links; makes directories where nothing is, if the source says so. */
async function openWithin(root: string, source: Source): Promise<FileHandle> {
  const handle = await openOrMake(root, source);
  try {
    const real = await readlink(`/proc/self/fd/${handle.fd}`);
    if (!isWithin(root, real)) throw leadsOut(source, real);
    if ((await handle.stat()).isSymbolicLink())
      throw refused(`${source.key}: ${source.source} is a link that leads nowhere`);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function openOrMake(root: string, source: Source): Promise<FileHandle> {
  try {
    return await open(source.path, O_PATH);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    if (!source.isMade) throw refused(`${source.key}: ${source.source} is not there`);
  }
  const parent = await openWithin(root, { ...source, path: dirname(source.path) });
  try {
    const inside = `/proc/self/fd/${parent.fd}/${basename(source.path)}`;
    await mkdir(inside).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    return await open(inside, O_PATH | constants.O_NOFOLLOW);
  } finally {
    await parent.close();
  }
}

/** Mounts what was opened, with all that is mounted below; a name that leads elsewhere by now is noticed. */
async function pinTo(pin: string, handle: FileHandle, source: Source): Promise<void> {
  const wanted = await handle.stat();
  await mkdir(dirname(pin), { recursive: true, mode: 0o700 });
  if (wanted.isDirectory()) await mkdir(pin, { recursive: true });
  else await writeFile(pin, '');
  // Of its own, lest what is taken away here goes at its source as well.
  const fd = `/proc/${process.pid}/fd/${handle.fd}`;
  await runCommand('mount', ['--rbind', '--make-rprivate', '--', fd, pin]);
  const got = await stat(pin);
  if (got.dev !== wanted.dev || got.ino !== wanted.ino)
    throw refused(`${source.key}: ${source.source} was exchanged while it was bound`);
}
