import { chmod, chown, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '../../plugin/sdk/remove-tree.js';
import { MeshError } from '../../structs/errors.js';
import type { HostVolume } from '../../structs/host-volume.js';
import type { Millis } from '../../util/clock.js';
import { nearest } from '../../util/nearest.js';
import { listExecutables, runPluginProgram } from '../plugin-program.js';

// Who makes dynamic host volumes: `mkdir`, which is built in, and executables in host_volume_plugin_dir that speak Nomad's
// protocol: the operation is the first argument and in DHV_OPERATION, everything else in DHV_*; the answer is JSON on stdout.

/** A volume to be made or removed. */
export type HostVolumeOrder = Pick<
  HostVolume,
  'ID' | 'Name' | 'Namespace' | 'NodeID' | 'NodePool' | 'Parameters' | 'HostPath'
> & { CapacityMinBytes: number; CapacityMaxBytes: number };

export interface HostVolumePlugin {
  /** Gives its version. */
  fingerprint(): Promise<string>;
  /** Makes the volume or, asked again, finds it. */
  create(order: HostVolumeOrder): Promise<{ path: string; bytes: number }>;
  /** One that is not there is no error. */
  remove(order: HostVolumeOrder): Promise<void>;
}

export interface HostVolumeDirs {
  volumesDir: string;
  pluginDir: string;
}

const FINGERPRINT_TIMEOUT_MS: Millis = 5_000;
const CALL_TIMEOUT_MS: Millis = 60_000;

/** The plugin of that name. Throws MeshError E_NOT_FOUND. */
export async function findHostVolumePlugin(id: string, dirs: HostVolumeDirs): Promise<HostVolumePlugin> {
  if (id === 'mkdir') return mkdirPlugin(dirs);
  if ((await listExecutables(dirs.pluginDir)).includes(id)) return execPlugin(id, dirs);
  const known = ['mkdir', ...(await listExecutables(dirs.pluginDir))].join(', ');
  throw new MeshError('E_NOT_FOUND', `host volume plugin "${id}" is not on this node; it has ${known}`);
}

const MKDIR_PARAMETERS = ['uid', 'gid', 'mode'];

/** Directories below host_volumes_dir, named by the volume's id. They have no limit of size. */
function mkdirPlugin({ volumesDir }: HostVolumeDirs): HostVolumePlugin {
  const pathOf = (id: string): string => {
    if (!/^[0-9A-Za-z][0-9A-Za-z-]*$/.test(id)) throw new MeshError('E_BAD_REQUEST', `"${id}" is no id of a volume`);
    return join(volumesDir, id);
  };
  return {
    fingerprint: async () => '0.0.1',
    async create({ ID, Parameters }) {
      const { uid, gid, mode } = readMkdir(Parameters ?? {});
      const path = pathOf(ID);
      await mkdir(volumesDir, { recursive: true, mode: 0o711 });
      const isNew = (await mkdir(path, { recursive: true, mode })) !== undefined;
      if (!isNew) return { path, bytes: 0 };
      await chmod(path, mode);
      if (uid >= 0 || gid >= 0) {
        const now = await stat(path);
        await chown(path, uid >= 0 ? uid : now.uid, gid >= 0 ? gid : now.gid);
      }
      return { path, bytes: 0 };
    },
    async remove({ ID }) {
      await removeTree(pathOf(ID));
    },
  };
}

function readMkdir(given: Record<string, string>): { uid: number; gid: number; mode: number } {
  const bad = (message: string): MeshError => new MeshError('E_BAD_REQUEST', `host volume plugin mkdir: ${message}`);
  for (const key of Object.keys(given)) {
    if (MKDIR_PARAMETERS.includes(key)) continue;
    const near = nearest(key, MKDIR_PARAMETERS);
    throw bad(`unknown parameter "${key}"; ${near ? `did you mean "${near}"?` : `known are uid, gid, mode`}`);
  }
  const id = (key: string): number => {
    const value = given[key] ?? '-1';
    if (!/^(-1|\d{1,9})$/.test(value)) throw bad(`${key} = "${value}" must be a number, or -1 to leave it as it is`);
    return Number(value);
  };
  const mode = given['mode'] ?? '0700';
  if (!/^[0-7]{3,4}$/.test(mode)) throw bad(`mode = "${mode}" must be octal, like "0700"`);
  return { uid: id('uid'), gid: id('gid'), mode: Number.parseInt(mode, 8) };
}

function execPlugin(id: string, dirs: HostVolumeDirs): HostVolumePlugin {
  const run = async (
    operation: 'fingerprint' | 'create' | 'delete',
    env: Record<string, string>,
    timeoutMs: Millis,
  ): Promise<Record<string, unknown>> => {
    const given = {
      DHV_OPERATION: operation,
      DHV_PLUGIN_DIR: dirs.pluginDir,
      DHV_VOLUMES_DIR: dirs.volumesDir,
      ...env,
    };
    return runPlugin(id, join(dirs.pluginDir, id), operation, given, timeoutMs);
  };
  return {
    async fingerprint() {
      const { version } = await run('fingerprint', {}, FINGERPRINT_TIMEOUT_MS);
      if (typeof version !== 'string' || version === '') throw broken(id, 'its fingerprint has no "version"');
      return version;
    },
    async create(order) {
      const sizes = {
        DHV_CAPACITY_MIN_BYTES: String(order.CapacityMinBytes),
        DHV_CAPACITY_MAX_BYTES: String(order.CapacityMaxBytes),
      };
      await mkdir(dirs.volumesDir, { recursive: true, mode: 0o711 });
      const { path, bytes } = await run('create', { ...envOf(order), ...sizes }, CALL_TIMEOUT_MS);
      if (typeof path !== 'string' || !path.startsWith('/')) throw broken(id, 'it created a volume without a "path"');
      const isThere = await stat(path).catch(() => null);
      if (!isThere) throw broken(id, `it says that it created ${path}, which is not there`);
      return { path, bytes: typeof bytes === 'number' && bytes >= 0 ? bytes : 0 };
    },
    async remove(order) {
      await run('delete', { ...envOf(order), DHV_CREATED_PATH: order.HostPath }, CALL_TIMEOUT_MS);
    },
  };
}

function envOf(order: HostVolumeOrder): Record<string, string> {
  return {
    DHV_NAMESPACE: order.Namespace,
    DHV_VOLUME_NAME: order.Name,
    DHV_VOLUME_ID: order.ID,
    DHV_NODE_ID: order.NodeID,
    DHV_NODE_POOL: order.NodePool,
    DHV_PARAMETERS: JSON.stringify(order.Parameters ?? {}),
  };
}

/** Runs one operation; its answer is what it printed, {} when that was nothing. Throws MeshError. */
async function runPlugin(
  id: string,
  path: string,
  operation: string,
  env: Record<string, string>,
  timeoutMs: Millis,
): Promise<Record<string, unknown>> {
  const { answer, problem, stdout, stderr } = await runPluginProgram(path, { args: [operation], env, timeoutMs });
  if (problem === null && answer) return answer;
  // It may say in any words what it removed: only how it ended counts, as with Nomad.
  if (problem === null && operation === 'delete') return {};
  if (problem === null) throw broken(id, `${operation}: it printed no JSON but "${stdout.trim().slice(0, 200)}"`);
  const told = typeof answer?.['error'] === 'string' ? answer['error'] : stderr.trim().slice(-500);
  const inTime = !problem.startsWith('it did not end');
  throw broken(id, `${operation}: ${inTime && told ? told : problem}`);
}

function broken(id: string, what: string): MeshError {
  return new MeshError('E_INTERNAL', `host volume plugin "${id}": ${what}`);
}
