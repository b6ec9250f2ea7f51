import { readdir, readFile, stat } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { type InterfaceAddress, interfaceAddresses } from '../../util/address-template.js';
import { err, ok, type Result } from '../../util/result.js';
import type { ConfigFile } from './parse.js';

const FILE_BYTES_MAX = 10_000_000;

/**
 * The configuration files of `-config FILE|DIR…`, in order; of a directory, its `.hcl` and `.json` files by name (not
 * those of its own directories, nor what an editor leaves behind). The error says which path and why.
 */
export async function readConfigFiles(paths: readonly string[]): Promise<Result<ConfigFile[], string>> {
  const files: ConfigFile[] = [];
  for (const path of paths) {
    try {
      const names = (await stat(path)).isDirectory() ? await configsIn(path) : [path];
      for (const name of names) {
        const { size } = await stat(name);
        if (size > FILE_BYTES_MAX)
          return err(`${name} has ${size} bytes; a configuration file may have ${FILE_BYTES_MAX}`);
        files.push({ name, source: await readFile(name, 'utf8') });
      }
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      const reason =
        code === 'ENOENT' ? 'there is no such file or directory' : code === 'EACCES' ? 'it may not be read' : message;
      return err(`cannot read the configuration ${path}: ${reason}`);
    }
  }
  return ok(files);
}

async function configsIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory() && /\.(hcl|json)$/.test(entry.name) && !/^[.#]/.test(entry.name))
    .map((entry) => join(folder, entry.name))
    .sort();
}

/** The addresses of this machine, for templates in addresses. */
export function machineAddresses(): InterfaceAddress[] {
  return interfaceAddresses(networkInterfaces());
}
