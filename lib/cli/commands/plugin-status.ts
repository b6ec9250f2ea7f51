import type { CsiCapacity, CsiPlugin, CsiPluginListStub } from '../../structs/csi.js';
import { type ApiClient, ApiError } from '../api.js';
import { type Command, UsageError } from '../command.js';
import { formatTable } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';
import { mixedDrivers, pluginText } from '../volume-text.js';

export const command: Command = {
  usage: 'meshnomad plugin status [options] [plugin]',
  about: 'Shows a CSI plugin and how healthy it is, or all of them.',
  flags: {
    ...DATA_FLAGS,
    type: { type: 'string', value: 'type', help: 'Kind of plugin: csi, the only one.' },
    verbose: { type: 'bool', help: 'Show whole ids, and what the plugin can do.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 0, 1, '[plugin]');
    const type = flags.string('type') ?? 'csi';
    if (type !== 'csi') throw new UsageError(`-type must be csi, not ${JSON.stringify(type)}`);
    const api = await context.api();
    const [id] = args;
    const { value: plugins } = await api.get<CsiPluginListStub[]>('/v1/plugins', { type, prefix: id });
    if (id === undefined) {
      if (await printData(context, plugins)) return 0;
      output.out(`Container Storage Interface\n${plugins.length === 0 ? 'No CSI plugins' : table(plugins)}`);
      const mixed = plugins.filter(({ Providers }) => (Providers ?? []).length > 1);
      for (const plugin of mixed) output.out(`\n${mixedDrivers(plugin.ID, plugin.Providers ?? [])}`);
      return 0;
    }
    const found = plugins.find(({ ID }) => ID === id) ?? (plugins.length === 1 ? plugins[0] : undefined);
    if (!found && plugins.length > 1) {
      throw new ApiError(0, `Prefix ${JSON.stringify(id)} matched multiple plugins\n\n${table(plugins)}`);
    }
    if (!found) throw new ApiError(404, `No plugins with prefix or ID ${JSON.stringify(id)} found`);
    const { value } = await api.get<CsiPlugin>(`/v1/plugin/csi/${encodeURIComponent(found.ID)}`);
    if (await printData(context, value)) return 0;
    const shown = { verbose: flags.bool('verbose'), nowMs: Date.now() };
    output.out(pluginText(value, await capacityOf(api, value), shown));
    return 0;
  },
};

/** What room it has left. Who cannot be asked for that is no reason to show nothing. */
async function capacityOf(api: ApiClient, { ID, Controllers }: CsiPlugin): Promise<CsiCapacity[]> {
  if (!Object.values(Controllers).some(({ ControllerInfo }) => ControllerInfo?.SupportsGetCapacity)) return [];
  return api.get<CsiCapacity[]>(`/v1/plugin/csi/${encodeURIComponent(ID)}/capacity`).then(
    ({ value }) => value,
    () => [],
  );
}

function table(plugins: readonly CsiPluginListStub[]): string {
  const rows = plugins.map((plugin) => [
    plugin.ID,
    plugin.Provider,
    `${plugin.ControllersHealthy}/${plugin.ControllersExpected}`,
    `${plugin.NodesHealthy}/${plugin.NodesExpected}`,
  ]);
  return formatTable([['ID', 'Provider', 'Controllers Healthy/Expected', 'Nodes Healthy/Expected'], ...rows]);
}
