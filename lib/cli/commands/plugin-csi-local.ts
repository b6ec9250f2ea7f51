import plugin from '../../../plugins/csi-local/index.js';
import { csiCommand } from '../csi-plugin.js';

export const command = csiCommand(plugin);
