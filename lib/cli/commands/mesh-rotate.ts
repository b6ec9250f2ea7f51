import type { Command } from '../command.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad mesh rotate [options]',
  about: `Gives the mesh a new discovery secret: who knows the old one finds its members no longer. Members learn the new one over
their links; whoever sleeps through two rotations is found by its address or by a server.`,
  flags: { json: { type: 'bool', help: "Print the API's JSON." } },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 0, 0, '');
    const api = await connect();
    const { value } = await api.put<{ Epoch: number }>('/v1/mesh/rotate', {});
    const said = `The discovery secret is a new one (epoch ${value.Epoch}).`;
    output.out(flags.bool('json') ? JSON.stringify(value, null, 4) : said);
    return 0;
  },
};
