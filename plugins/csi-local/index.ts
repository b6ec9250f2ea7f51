import { isAbsolute } from 'node:path';
import { Turns } from '../../lib/plugin/sdk/csi-checks.js';
import { type CsiPlugin, identityHandlers } from '../../lib/plugin/sdk/csi-plugin.js';
import { controllerHandlers } from './controller.js';
import { thaw } from './image.js';
import { nodeHandlers } from './node.js';
import { Store } from './store.js';

const NAME = 'local.csi.meshnomad';
const ROOT_DEFAULT = '/var/lib/meshnomad/csi-local';
/** By which a volume says on which machine it lies. */
const TOPOLOGY_KEY = `${NAME}/node`;

/** Volumes out of a directory of the machine itself: directories, or images with a size, snapshots and copies. */
const plugin: CsiPlugin = {
  name: 'csi-local',
  about: 'Volumes in a directory of this machine: directories, or file system images with a size.',
  flags: {
    root: { value: 'dir', help: `Where the volumes lie. Default: ${ROOT_DEFAULT}` },
    shared: { help: 'The root is storage that every node sees: volumes are tied to no machine' },
    'max-volumes': { value: 'n', help: 'How many volumes this machine may have mounted. Default: no limit' },
  },
  async create({ roles, nodeId, flags, version, now }) {
    const root = flags['root'] ?? ROOT_DEFAULT;
    if (!isAbsolute(root)) throw new Error(`-root ${root}: give an absolute path`);
    const maxVolumes = Number(flags['max-volumes'] ?? 0);
    if (!Number.isSafeInteger(maxVolumes) || maxVolumes < 0)
      throw new Error(`-max-volumes ${flags['max-volumes']}: give a whole number`);
    const isShared = flags['shared'] === 'true';
    const store = new Store(root, isShared ? null : nodeId);
    await store.open();
    if (roles.node) await thaw(root);
    const topology = isShared ? null : { segments: { [TOPOLOGY_KEY]: nodeId } };
    const turns = new Turns();
    return {
      ...identityHandlers(NAME, { version, roles }, { topology: topology !== null, expansion: 'ONLINE' }),
      ...(roles.controller ? controllerHandlers({ store, turns, topology, now }) : {}),
      ...(roles.node ? nodeHandlers({ store, turns, nodeId, topology, maxVolumes }) : {}),
    };
  },
};
export default plugin;
