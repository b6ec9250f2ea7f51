import type { FileInfo } from '../../structs/rpc.js';
import type { Command } from '../command.js';
import { formatBytes, formatTable, formatTimeText } from '../format.js';
import { randomAllocation } from '../pick.js';
import { takeArgs } from '../print.js';
import { findAllocation } from '../resolve.js';
import { copyFrames } from '../stream.js';
import { tailOf } from '../tail.js';

export const command: Command = {
  usage: 'meshnomad alloc fs [options] <allocation> [path]',
  about:
    "Lists a directory of an allocation, or prints a file of it. The path is relative to the allocation's directory.",
  flags: {
    H: { type: 'bool', help: 'Sizes in bytes.' },
    c: { type: 'int', value: 'bytes', help: 'How many bytes -tail shows.' },
    f: { type: 'bool', help: 'Follow the file as it grows.' },
    job: { type: 'bool', help: 'The argument is a job: take one of its allocations at random.' },
    n: { type: 'int', value: 'lines', help: 'How many lines -tail shows, default 10.' },
    stat: { type: 'bool', help: 'Facts about the file, not its content.' },
    tail: { type: 'bool', help: 'The last lines of the file.' },
    verbose: { type: 'bool', help: 'Show whole ids.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 2, '<allocation> [path]');
    const { origin, offset, lastLines } = tailOf(flags);
    const api = await context.api();
    const alloc = flags.bool('job')
      ? await randomAllocation(api, args[0] as string)
      : await findAllocation(api, args[0] as string);
    const path = args[1] ?? '/';
    const { value: info } = await api.get<FileInfo>(`/v1/client/fs/stat/${alloc.ID}`, { path });
    if (flags.bool('stat')) {
      output.out(statTable(info, flags.bool('H')));
      return 0;
    }
    if (info.IsDir) {
      const { value } = await api.get<FileInfo[] | null>(`/v1/client/fs/ls/${alloc.ID}`, { path });
      output.out(fileTable(value ?? [], flags.bool('H')));
      return 0;
    }
    const body = await api.stream(`/v1/client/fs/stream/${alloc.ID}`, {
      path,
      follow: flags.bool('f'),
      origin,
      offset,
    });
    await copyFrames(body, {
      to: output.raw.out,
      lastLines,
      follow: flags.bool('f'),
    });
    return 0;
  },
};

function statTable(file: FileInfo, exact: boolean): string {
  const [name = '', ...facts] = fileRow(file, exact).reverse();
  const row = [...facts.reverse(), file.ContentType || '<none>', name];
  return formatTable([['Mode', 'Size', 'Modified Time', 'Content Type', 'Name'], row]);
}

function fileTable(files: readonly FileInfo[], exact: boolean): string {
  return formatTable([['Mode', 'Size', 'Modified Time', 'Name'], ...files.map((file) => fileRow(file, exact))]);
}

function fileRow(file: FileInfo, exact: boolean): string[] {
  const size = exact ? String(file.Size) : formatBytes(file.Size);
  return [file.FileMode, size, formatTimeText(file.ModTime), file.IsDir ? `${file.Name}/` : file.Name];
}
