import type { Command } from './commands.js';

// While servers of several versions form a group, what one writes the others must be able to apply: so a command is written under
// the oldest version that can apply it, and one that needs a newer version than a member of the group has is refused before it is
// written. Whoever adds a command, or a field that changes what one does, raises COMMANDS_VERSION and says here what needs it.

/** Every program that may be in a group applies commands of this version. */
export const COMMANDS_VERSION_FIRST = 10;

/** The oldest version that can apply the command. */
export function versionFor(command: Command): number {
  switch (command.type) {
    case 'batch':
      return Math.max(COMMANDS_VERSION_FIRST, ...command.commands.map(versionFor));
    case 'csi-claim-steps':
      return command.steps.some(({ step }) => step.kind === 'release' && step.reason) ? 13 : COMMANDS_VERSION_FIRST;
    case 'volume-archive-put':
      return command.csi === undefined ? COMMANDS_VERSION_FIRST : 11;
    case 'summaries-correct':
      return 14;
    default:
      return COMMANDS_VERSION_FIRST;
  }
}
