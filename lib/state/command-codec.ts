import { MeshError } from '../structs/errors.js';
import { COMMANDS_VERSION, type Command } from './commands.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A command as the log keeps it: JSON, under the version of the commands that wrote it. */
export function encodeCommand(command: Command): Uint8Array {
  return encoder.encode(JSON.stringify({ v: COMMANDS_VERSION, c: command }));
}

/** Throws E_NOT_SUPPORTED for what a newer version wrote, E_STORAGE for what no version did: neither may be skipped. */
export function decodeCommand(bytes: Uint8Array): Command {
  const { v: version, c: command } = parse(decoder.decode(bytes));
  if (!Number.isSafeInteger(version) || typeof command !== 'object' || command === null) throw unreadable();
  if (version > COMMANDS_VERSION) {
    throw new MeshError(
      'E_NOT_SUPPORTED',
      `the log holds commands of version ${version}, newer than ${COMMANDS_VERSION}, the newest this program knows: run the version that wrote them, or a newer one`,
    );
  }
  return command;
}

function parse(text: string): { v: number; c: Command } {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    throw unreadable();
  }
}

function unreadable(): MeshError {
  return new MeshError('E_STORAGE', 'a log entry cannot be read: it is not a command');
}
