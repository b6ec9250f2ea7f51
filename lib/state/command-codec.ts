import { MeshError } from '../structs/errors.js';
import { versionFor } from './command-versions.js';
import { COMMANDS_VERSION, type Command } from './commands.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A command as the log keeps it: JSON, under the oldest version of the commands that can apply it. */
export function encodeCommand(command: Command): Uint8Array {
  return encoder.encode(JSON.stringify({ v: versionFor(command), c: command }));
}

const BEGINNING = /^\{"v":(\d{1,9}),/;

/** The version that a command of the log needs, by its first bytes alone; 0 for what is none. */
export function versionOfEncoded(bytes: Uint8Array): number {
  return Number(BEGINNING.exec(decoder.decode(bytes.subarray(0, 16)))?.[1] ?? 0);
}

/** Throws E_NOT_SUPPORTED for what a newer version wrote, E_STORAGE for what no version did: neither may be skipped. */
export function decodeCommand(bytes: Uint8Array): Command {
  const { v: version, c: command } = parse(decoder.decode(bytes));
  if (!Number.isSafeInteger(version) || typeof command !== 'object' || command === null) throw unreadable();
  if (version > COMMANDS_VERSION) {
    throw tooNew(version);
  }
  return command;
}

/** What a newer program wrote, and this one cannot go on from. */
export function tooNew(version: number): MeshError {
  return new MeshError(
    'E_NOT_SUPPORTED',
    `a newer version of meshnomad has written here: its log holds commands of version ${version}, and this program knows those up to ${COMMANDS_VERSION}. Start the newer version again; to go back to this one, let this server leave with the newer one (meshnomad leave) and join it anew`,
  );
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
