import { hostname } from 'node:os';
import type { CsiPlugin } from '../plugin/sdk/csi-plugin.js';
import { serveCsi } from '../plugin/sdk/csi-server.js';
import { type Command, type FlagSpec, UsageError } from './command.js';
import { takeArgs } from './print.js';
import { VERSION } from './version.js';

const TYPES = ['controller', 'node', 'monolith'];

/** The command that serves a CSI plugin: `meshnomad plugin csi-local`. */
export function csiCommand(plugin: CsiPlugin): Command {
  const own = Object.entries(plugin.flags).map(([name, { help, value }]): [string, FlagSpec] => [
    name,
    value === undefined ? { type: 'bool', help } : { type: 'string', value, help },
  ]);
  return {
    usage: `meshnomad plugin ${plugin.name} [options]`,
    about: `${plugin.about}

Serves the Container Storage Interface in the foreground until SIGINT or SIGTERM, as a task with a \`csi_plugin\` block or
for another orchestrator. Mounting needs root.`,
    flags: {
      endpoint: {
        type: 'string',
        value: 'url',
        help: 'The UNIX socket to listen on, such as unix:///csi/csi.sock; or CSI_ENDPOINT.',
      },
      type: { type: 'string', value: 'type', help: 'controller, node, or monolith (both), the default.' },
      'node-id': {
        type: 'string',
        value: 'id',
        help: "This machine's name as a place of volumes. Default: its host name.",
      },
      ...Object.fromEntries(own),
    },
    local: true,
    async run({ args, flags, env, output }) {
      takeArgs(args, 0, 0, '');
      const type = flags.string('type') ?? 'monolith';
      if (!TYPES.includes(type)) throw new UsageError(`-type ${type}: it must be ${TYPES.join(', ')}`);
      const endpoint = flags.string('endpoint') ?? env['CSI_ENDPOINT'] ?? '';
      if (endpoint === '') throw new UsageError('no endpoint: give -endpoint unix:///path/to/csi.sock');
      const given = own.flatMap(([name, { type: kind }]): [string, string][] => {
        const value = kind === 'bool' ? (flags.bool(name) ? 'true' : undefined) : flags.string(name);
        return value === undefined ? [] : [[name, value]];
      });
      try {
        const handlers = await plugin.create({
          roles: { controller: type !== 'node', node: type !== 'controller' },
          nodeId: flags.string('node-id') ?? hostname(),
          flags: Object.fromEntries(given),
          version: VERSION,
          now: Date.now,
        });
        const onFailure = (method: string, error: Error): void => output.error(`${method}: ${error.message}`);
        const ended = new Promise<void>((resolve) => {
          process.once('SIGINT', resolve);
          process.once('SIGTERM', resolve);
        });
        const server = await serveCsi({ endpoint, handlers, onFailure });
        output.error(`${plugin.name} ${VERSION} (${type}) serves ${endpoint}`);
        await ended;
        await server.close();
        return 0;
      } catch (error) {
        output.error(error instanceof Error ? error.message : String(error));
        return 1;
      }
    },
  };
}
