import { createHash } from 'node:crypto';
import { CsiError } from '../../lib/plugin/sdk/csi.js';

/** A directory of an export: what a volume of this plugin is. */
export interface Place {
  server: string;
  /** The exported path. */
  share: string;
  /** Below it, without a slash at either end; '' = the export itself. */
  directory: string;
}

const ID_BYTES_MAX = 128;

/** `nas#/srv/data#mysql`: an existing directory can be registered by writing its id down. */
export function volumeIdOf({ server, share, directory }: Place): string {
  const id = `${server}#${share}#${directory}`;
  if (Buffer.byteLength(id) > ID_BYTES_MAX)
    throw new CsiError('INVALID_ARGUMENT', `server, share and directory have more than ${ID_BYTES_MAX} bytes: ${id}`);
  return id;
}

/** Null for text that is no id of this plugin's. */
export function parseVolumeId(id: string): Place | null {
  const [server = '', share = '', directory = '', ...rest] = id.split('#');
  const isPlace = isServer(server) && isShare(share) && isDirectory(directory) && rest.length === 0;
  return isPlace ? { server, share, directory } : null;
}

/** A host name or address; nothing that could be taken for an option. */
export function isServer(server: string): boolean {
  return /^[A-Za-z0-9[][A-Za-z0-9.:%[\]_-]*$/.test(server);
}

export function isShare(share: string): boolean {
  return share.startsWith('/') && isClean(share);
}

export function isDirectory(directory: string): boolean {
  return !directory.startsWith('/') && !directory.endsWith('/') && isClean(directory);
}

function isClean(path: string): boolean {
  return !/[#\u0000-\u001f]/.test(path) && !path.split('/').some((part) => part === '..' || part === '.');
}

/** The directory of a new volume: its name, where that is a fit name for one. */
export function directoryFor(name: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$/.test(name)) return name;
  return `vol-${createHash('sha256').update(name).digest('hex').slice(0, 24)}`;
}

/** As mount(8) wants it: an IPv6 address stands in brackets. */
export function sourceOf({ server, share, directory }: Place): string {
  const host = server.includes(':') && !server.startsWith('[') ? `[${server}]` : server;
  const path = directory === '' ? share : `${share === '/' ? '' : share}/${directory}`;
  return `${host}:${path}`;
}
