import type { MeshInfo } from '../../structs/mesh.js';
import type { Command } from '../command.js';
import { formatPairs } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';

interface Info {
  Mesh: MeshInfo;
  Members: number;
  Leader: string;
  Problems: string[];
}

export const command: Command = {
  usage: 'meshnomad mesh info [options]',
  about: 'Shows the mesh: its name, its root key, how many belong to it, and what is wrong with it.',
  flags: DATA_FLAGS,
  async run(context) {
    takeArgs(context.args, 0, 0, '');
    const api = await context.api();
    const { value } = await api.get<Info>('/v1/mesh');
    if (await printData(context, value)) return 0;
    const { Mesh, Members, Leader, Problems } = value;
    context.output.out(
      formatPairs([
        ['Name', Mesh.Name],
        ['Root Key', Mesh.Root],
        ['Founded', new Date(Mesh.CreatedAt).toISOString()],
        ['Discovery Epoch', Mesh.DiscoveryEpoch],
        ['Members', Members],
        ['Leader', Leader || '(none)'],
      ]),
    );
    if (Problems.length > 0) context.output.out(`\nProblems\n${Problems.map((line) => `  ${line}`).join('\n')}`);
    return 0;
  },
};
