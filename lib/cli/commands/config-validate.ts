import type { Command } from '../command.js';
import { takeArgs } from '../print.js';
import { VERSION } from '../version.js';

export const command: Command = {
  usage: 'meshnomad config validate [options] <path> [<path>…]',
  about: `Checks agent configuration: files, or directories of them, taken together as the agent would take them. Syntax is read
twice, by two parsers.`,
  flags: {},
  local: true,
  async run({ args, output }) {
    takeArgs(args, 1, 100, '<path> [<path>…]');
    const [{ readConfiguration }, { readConfigFiles }, { settingsFromConfig }, { readAgain }] = await Promise.all([
      import('../../agent/run.js'),
      import('../../agent/config/index.js'),
      import('../../agent/from-config.js'),
      import('../second-reading.js'),
    ]);
    const read = await readConfiguration({ configPaths: args, flags: {}, dev: false, version: VERSION });
    if (!read.ok) {
      output.error(read.error);
      return 1;
    }
    const worked = await settingsFromConfig(read.value.config, { version: VERSION });
    if (!worked.ok) {
      output.error(worked.error);
      return 1;
    }
    const files = await readConfigFiles(args);
    for (const { name, source } of files.ok ? files.value : []) {
      const disagreement = /^\s*\{/.test(source) ? null : await readAgain(source, name);
      if (disagreement === null) continue;
      output.error(disagreement);
      return 1;
    }
    for (const notice of read.value.notices) output.out(`Notice: ${notice}`);
    output.out('Configuration is valid!');
    return 0;
  },
};
