import plugin from '../../../plugins/csi-nfs/index.js';
import { csiCommand } from '../csi-plugin.js';

export const command = csiCommand(plugin);
