import { chmod, chown, mkdir, readdir, readFile, rename, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CsiError, type CsiMethods, type CsiVolume } from '../../lib/plugin/sdk/csi.js';
import {
  fitsRange,
  needCapabilities,
  needField,
  needName,
  pageOf,
  readRange,
} from '../../lib/plugin/sdk/csi-checks.js';
import type { CsiHandlers } from '../../lib/plugin/sdk/csi-server.js';
import { runCommand } from '../../lib/plugin/sdk/mounts.js';
import { removeTree } from '../../lib/plugin/sdk/remove-tree.js';
import { nearest } from '../../lib/util/nearest.js';
import type { Exports } from './exports.js';
import { directoryFor, isServer, isShare, type Place, parseVolumeId, volumeIdOf } from './place.js';

export interface ControllerOptions {
  exports: Exports;
  /** Where volumes go whose parameters name no server and share; null = they must. */
  home: { server: string; share: string } | null;
}

/** What the plugin knows of a volume it made: `.meshnomad-csi/DIRECTORY.json` in the export. */
interface Record {
  name: string;
  capacityBytes: number;
  sourceVolumeId: string;
  onDelete: 'delete' | 'retain';
}

const RECORDS = '.meshnomad-csi';
const KNOWN = ['server', 'share', 'mode', 'uid', 'gid', 'on_delete'];
const CAPABILITIES = [
  'CREATE_DELETE_VOLUME',
  'LIST_VOLUMES',
  'GET_CAPACITY',
  'GET_VOLUME',
  'CLONE_VOLUME',
  'SINGLE_NODE_MULTI_WRITER',
];
const COPY_TIMEOUT_MS = 3_600_000;

/** Makes and removes directories in exports. */
export function controllerHandlers(options: ControllerOptions): CsiHandlers {
  const { exports, home } = options;
  return {
    'Controller.ControllerGetCapabilities': async () => ({
      capabilities: CAPABILITIES.map((type) => ({ rpc: { type } })),
    }),
    'Controller.CreateVolume': async (request) => ({ volume: await createVolume(options, request) }),
    'Controller.DeleteVolume': async ({ volumeId }) => {
      const place = parseVolumeId(needField(volumeId, 'volume_id'));
      if (place && place.directory !== '') await exports.with(place, (root) => deleteVolume(root, place.directory));
      return {};
    },
    'Controller.ValidateVolumeCapabilities': async (request) => {
      const place = parseVolumeId(needField(request.volumeId, 'volume_id'));
      const asked = needCapabilities(request.volumeCapabilities);
      const isThere = place !== null && (await exports.with(place, (root) => exists(join(root, place.directory))));
      if (!isThere) throw new CsiError('NOT_FOUND', `there is no volume "${request.volumeId}"`);
      const isBlock = asked.some(({ access }) => access === 'block');
      if (isBlock) return { confirmed: null, message: NO_BLOCK };
      const { volumeContext, volumeCapabilities, parameters } = request;
      return { confirmed: { volumeContext, volumeCapabilities, parameters }, message: '' };
    },
    'Controller.ListVolumes': async ({ maxEntries, startingToken }) => {
      const all = home === null ? [] : await exports.with(home, (root) => listVolumes(root, home));
      const page = pageOf(all, { key: ({ volumeId }) => volumeId, maxEntries, startingToken });
      return { entries: page.items.map((volume) => ({ volume, status: null })), nextToken: page.nextToken };
    },
    'Controller.ControllerGetVolume': async ({ volumeId }) => {
      const place = parseVolumeId(needField(volumeId, 'volume_id'));
      const absent = new CsiError('NOT_FOUND', `there is no volume "${volumeId}"`);
      if (place === null) throw absent;
      return exports.with(place, async (root) => {
        if (!(await exists(join(root, place.directory)))) throw absent;
        // A directory that this plugin did not make has no record.
        const record = await readRecord(root, place.directory);
        const volume = tellVolume(volumeId, record ?? { name: '', capacityBytes: 0, sourceVolumeId: '' });
        return { volume, status: null };
      });
    },
    'Controller.GetCapacity': async ({ parameters }) => {
      const where = whereOf(parameters, home);
      const { bavail, bsize } = await exports.with(where, (root) => statfs(root));
      return { availableCapacity: bavail * bsize, maximumVolumeSize: null };
    },
  };
}

const NO_BLOCK = 'a directory of an NFS server cannot be a block device';

async function createVolume(
  { exports, home }: ControllerOptions,
  request: CsiMethods['Controller.CreateVolume'][0],
): Promise<CsiVolume> {
  const name = needName(request.name);
  if (needCapabilities(request.volumeCapabilities).some(({ access }) => access === 'block'))
    throw new CsiError('INVALID_ARGUMENT', NO_BLOCK);
  const range = readRange(request.capacityRange);
  const parameters = readParameters(request.parameters);
  if (request.volumeContentSource?.snapshot) throw new CsiError('NOT_FOUND', 'this plugin makes no snapshots');
  const sourceVolumeId = request.volumeContentSource?.volume?.volumeId ?? '';
  const place: Place = { ...whereOf(parameters, home), directory: directoryFor(name) };
  const source = sourceVolumeId === '' ? null : sourceOfCopy(sourceVolumeId, place);
  const record: Record = {
    name,
    capacityBytes: range.requiredBytes,
    sourceVolumeId,
    onDelete: parameters['on_delete'] === 'retain' ? 'retain' : 'delete',
  };
  const volumeId = volumeIdOf(place);
  const made = await exports.with(place, async (root) => {
    const known = await readRecord(root, place.directory);
    if (known) {
      if (fitsRange(known.capacityBytes, range) && known.sourceVolumeId === sourceVolumeId) return known;
      throw new CsiError('ALREADY_EXISTS', `volume "${name}" exists with another size or source`);
    }
    if (source && !(await exists(join(root, source.directory))))
      throw new CsiError('NOT_FOUND', `there is no volume "${sourceVolumeId}" to copy`);
    await makeDirectory(root, { directory: place.directory, from: source?.directory ?? null }, parameters);
    await writeRecord(root, place.directory, record);
    return record;
  });
  return tellVolume(volumeId, made);
}

/** The source of a copy lies in the same export: nothing is carried from one server to another. */
function sourceOfCopy(volumeId: string, { server, share }: Place): Place {
  const source = parseVolumeId(volumeId);
  if (!source) throw new CsiError('NOT_FOUND', `there is no volume "${volumeId}" to copy`);
  if (source.server !== server || source.share !== share)
    throw new CsiError('INVALID_ARGUMENT', `volume "${volumeId}" lies in another export than its copy would`);
  return source;
}

async function makeDirectory(
  root: string,
  { directory, from }: { directory: string; from: string | null },
  parameters: { [key: string]: string },
): Promise<void> {
  const path = join(root, directory);
  if (from === null) await mkdir(path, { recursive: true });
  else {
    const draft = join(root, `.new-${directory}`);
    await removeTree(draft);
    const args = ['--archive', '--reflink=auto', '--', join(root, from), draft];
    await runCommand('cp', args, { timeoutMs: COPY_TIMEOUT_MS });
    await rename(draft, path);
  }
  await chmod(path, Number.parseInt(parameters['mode'] ?? '0777', 8));
  const [uid, gid] = [parameters['uid'], parameters['gid']];
  if (uid !== undefined || gid !== undefined) await chown(path, Number(uid ?? 0), Number(gid ?? 0));
}

async function deleteVolume(root: string, directory: string): Promise<void> {
  const record = await readRecord(root, directory);
  // A directory that this plugin did not make is somebody else's: it is forgotten, never removed.
  if (record?.onDelete === 'delete') await removeTree(join(root, directory));
  await removeTree(recordPath(root, directory));
}

async function listVolumes(root: string, home: { server: string; share: string }): Promise<CsiVolume[]> {
  const files = await readdir(join(root, RECORDS)).catch(() => []);
  const volumes: CsiVolume[] = [];
  for (const file of files.filter((name) => name.endsWith('.json')).sort()) {
    const directory = file.slice(0, -'.json'.length);
    const record = await readRecord(root, directory);
    if (record) volumes.push(tellVolume(volumeIdOf({ ...home, directory }), record));
  }
  return volumes.sort((a, b) => (a.volumeId < b.volumeId ? -1 : 1));
}

function tellVolume(
  volumeId: string,
  { name, capacityBytes, sourceVolumeId }: Pick<Record, 'name' | 'capacityBytes' | 'sourceVolumeId'>,
): CsiVolume {
  return {
    volumeId,
    capacityBytes,
    volumeContext: { name },
    contentSource: sourceVolumeId === '' ? null : { volume: { volumeId: sourceVolumeId } },
    accessibleTopology: [],
  };
}

function readParameters(parameters: { [key: string]: string }): { [key: string]: string } {
  const given = Object.fromEntries(
    Object.entries(parameters).filter(([key]) => !key.startsWith('csi.storage.k8s.io/')),
  );
  const refuse = (key: string, wanted: string): never => {
    throw new CsiError('INVALID_ARGUMENT', `parameter ${key} = "${given[key]}": it must be ${wanted}`);
  };
  for (const key of Object.keys(given)) {
    if (KNOWN.includes(key)) continue;
    const near = nearest(key, KNOWN);
    const hint = near ? `did you mean "${near}"?` : `known are ${KNOWN.join(', ')}`;
    throw new CsiError('INVALID_ARGUMENT', `unknown parameter "${key}": ${hint}`);
  }
  if (!/^[0-7]{3,4}$/.test(given['mode'] ?? '0777')) refuse('mode', 'octal, like "0770"');
  for (const key of ['uid', 'gid']) if (!/^\d{1,9}$/.test(given[key] ?? '0')) refuse(key, 'a number');
  if (!['delete', 'retain'].includes(given['on_delete'] ?? 'delete')) refuse('on_delete', '"delete" or "retain"');
  return given;
}

function whereOf(
  parameters: { [key: string]: string },
  home: ControllerOptions['home'],
): { server: string; share: string } {
  const server = parameters['server'] ?? home?.server ?? '';
  const share = parameters['share'] ?? home?.share ?? '';
  if (!isServer(server)) throw new CsiError('INVALID_ARGUMENT', `parameter server = "${server}": name the NFS server`);
  if (!isShare(share)) throw new CsiError('INVALID_ARGUMENT', `parameter share = "${share}": name an exported path`);
  return { server, share };
}

function recordPath(root: string, directory: string): string {
  return join(root, RECORDS, `${directory}.json`);
}

async function readRecord(root: string, directory: string): Promise<Record | null> {
  const text = await readFile(recordPath(root, directory), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  return text === null ? null : (JSON.parse(text) as Record);
}

async function writeRecord(root: string, directory: string, record: Record): Promise<void> {
  const path = recordPath(root, directory);
  await mkdir(join(root, RECORDS), { recursive: true });
  await writeFile(`${path}.new`, JSON.stringify(record));
  await rename(`${path}.new`, path);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
