import { createHash } from 'node:crypto';
import { accessSync, constants, readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { err, ok, type Result } from '../../util/result.js';

/** A program in the plugin directory. */
export interface PluginFile {
  /** The name of its file: what `plugin "NAME" { }` says. */
  name: string;
  path: string;
}

/** What the plugin directory holds: programs, and what lies there and is none, with the reason. */
export interface PluginFiles {
  files: PluginFile[];
  /** `isMeant`: it can be run, so that somebody may wait for it. */
  refused: { name: string; why: string; isMeant: boolean }[];
}

/** Looks into the plugin directory. A directory that is not there is an error: who names it means something. */
export function scanPluginDir(dir: string): Result<PluginFiles, string> {
  let names: string[];
  try {
    names = readdirSync(dir).sort();
  } catch (error) {
    return err(`plugin_dir cannot be read: ${(error as Error).message}`);
  }
  const found: PluginFiles = { files: [], refused: [] };
  for (const name of names) {
    if (name.startsWith('.') || isFolder(join(dir, name))) continue;
    const checked = checkPluginFile(join(dir, name));
    if (checked.ok) found.files.push({ name, path: checked.value });
    else found.refused.push({ name, why: checked.error, isMeant: isExecutable(join(dir, name)) });
  }
  return ok(found);
}

/** The real path of a program that may be run as a plugin. The error goes on behind its path. */
export function checkPluginFile(path: string): Result<string, string> {
  try {
    const real = realpathSync(path);
    const { mode } = statSync(real);
    // It is run with the rights of the agent: whoever may write it would have them too.
    if ((mode & constants.S_IWOTH) !== 0) return err('may be written by every user of this machine: chmod o-w helps');
    accessSync(real, constants.X_OK);
    return ok(real);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return err('does not exist');
    return err(code === 'EACCES' ? 'is not executable: chmod +x helps' : message);
  }
}

/** Tells this file with these arguments and this configuration from any other. The configuration itself is not to be read from it. */
export function fingerprintOf(path: string, args: readonly string[], config: unknown): string {
  const { size, mtimeMs, ino } = statSync(path);
  return createHash('sha256')
    .update(JSON.stringify([path, size, mtimeMs, ino, args, config]))
    .digest('hex');
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
