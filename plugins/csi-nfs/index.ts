import { Turns } from '../../lib/plugin/sdk/csi-checks.js';
import { type CsiPlugin, identityHandlers } from '../../lib/plugin/sdk/csi-plugin.js';
import { controllerHandlers } from './controller.js';
import { Exports } from './exports.js';
import { nodeHandlers } from './node.js';
import { isServer, isShare } from './place.js';

const NAME = 'nfs.csi.meshnomad';
const WORK_DIR_DEFAULT = '/run/meshnomad/csi-nfs';

/** Volumes that are directories of an NFS server. */
const plugin: CsiPlugin = {
  name: 'csi-nfs',
  about: 'Volumes that are directories of an NFS server. The machine needs mount.nfs (the package nfs-common).',
  flags: {
    server: { value: 'host', help: 'Server of the volumes whose parameters name none' },
    share: { value: 'path', help: 'Exported path of the volumes whose parameters name none' },
    'mount-options': { value: 'options', help: 'Options of every mount, such as nfsvers=4.2,nconnect=4' },
    'work-dir': {
      value: 'dir',
      help: `Where the controller mounts an export while it works in it. Default: ${WORK_DIR_DEFAULT}`,
    },
  },
  async create({ roles, nodeId, flags, version }) {
    const { server, share } = flags;
    if ((server === undefined) !== (share === undefined))
      throw new Error('give -server and -share together, or neither');
    if (server !== undefined && !isServer(server)) throw new Error(`-server ${server}: give a host name or an address`);
    if (share !== undefined && !isShare(share)) throw new Error(`-share ${share}: give an absolute path`);
    const home = server !== undefined && share !== undefined ? { server, share } : null;
    const mountOptions = (flags['mount-options'] ?? '').split(',').filter((option) => option !== '');
    const turns = new Turns();
    const exports = new Exports(flags['work-dir'] ?? WORK_DIR_DEFAULT, mountOptions, turns);
    if (roles.controller) await exports.open();
    return {
      ...identityHandlers(NAME, { version, roles }, { topology: false, expansion: null }),
      ...(roles.controller ? controllerHandlers({ exports, home }) : {}),
      ...(roles.node ? nodeHandlers({ turns, nodeId, mountOptions }) : {}),
    };
  },
};
export default plugin;
