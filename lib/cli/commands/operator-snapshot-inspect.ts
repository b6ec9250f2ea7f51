import { ApiError } from '../api.js';
import type { Command } from '../command.js';
import { formatBytes, formatPairs, formatTable, formatTime } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad operator snapshot inspect [options] <file>',
  about: 'Shows what is in a snapshot, and checks that it is whole. Needs no agent.',
  flags: DATA_FLAGS,
  local: true,
  async run(context) {
    takeArgs(context.args, 1, 1, 'the snapshot');
    const { inspectSnapshot } = await import('../../agent/snapshot-file.js');
    const found = await inspectSnapshot(context.args[0] ?? '').catch((error: Error) => {
      throw new ApiError(0, error.message);
    });
    if (await printData(context, found)) return 0;
    const { Meta, Size, Types } = found;
    context.output.out(
      formatPairs([
        ['ID', Meta.ID],
        ['Size', Size],
        ['Index', Meta.Index],
        ['Term', Meta.Term],
        ['Version', Meta.Version],
        ['Mesh', Meta.Mesh],
        ['Created', formatTime(Meta.CreatedAt * 1e6)],
        ['Program', Meta.Program],
      ]),
    );
    const rows = Types.map(({ Name, Count, Bytes }) => [Name, String(Count), formatBytes(Bytes)]);
    const bytes = Types.reduce((sum, { Bytes }) => sum + Bytes, 0);
    context.output.out(
      `\n${formatTable([['Type', 'Count', 'Size'], ['----', '----', '----'], ...rows, ['----', '----', '----'], ['Total', '-', formatBytes(bytes)]])}`,
    );
    return 0;
  },
};
