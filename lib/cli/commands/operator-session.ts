import type { Command } from '../command.js';
import { UsageError } from '../command.js';
import { profileDir } from '../places.js';
import { takeArgs } from '../print.js';
import { VERSION } from '../version.js';

const IDLE_MS = 5 * 60_000;

export const command: Command = {
  usage: 'meshnomad operator session [options] [profile]',
  about: `Keeps a way into the mesh open for the commands that follow, and ends when none of them had use for it for a while.
A command that reaches the mesh with your key starts it by itself; end it whenever you like.`,
  flags: {
    idle: { type: 'duration', value: 'time', help: 'How long it waits for the next command, default 5m.' },
  },
  local: true,
  async run({ args, flags, output, env }) {
    takeArgs(args, 0, 1, 'profile');
    const idle = flags.duration('idle');
    if (idle !== undefined && idle <= 0) throw new UsageError('-idle must be more than nothing');
    const { runSession } = await import('../../agent/mesh/session.js');
    try {
      await runSession({
        profile: args[0] ?? profileDir(env),
        version: VERSION,
        idleMs: idle === undefined ? IDLE_MS : idle / 1e6,
        onReady: () => output.out('==> listening'),
      });
      return 0;
    } catch (error) {
      output.error((error as Error).message);
      return 1;
    }
  },
};
