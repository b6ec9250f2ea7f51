import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TaskConfig } from '../../lib/plugin/sdk/driver.js';
import type { DockerConfig } from './config.js';
import { containerName } from './labels.js';
import { refused } from './refused.js';

/** What a container is given that must be read or written first. */
export interface ContainerFiles {
  SecurityOpt: string[];
  Binds: string[];
}

/** Reads and writes them; throws a DriverError on what is not there. */
export async function containerFiles(task: TaskConfig<DockerConfig>, stateDir: string): Promise<ContainerFiles> {
  return {
    SecurityOpt: await securityOptions(task.config.security_opt),
    Binds: await networkFiles(task, stateDir),
  };
}

/** "seccomp=FILE" names a file of the node: the engine wants what stands in it. */
async function securityOptions(given: readonly string[]): Promise<string[]> {
  return Promise.all(
    given.map(async (option) => {
      const file = /^seccomp[=:](\/.*)$/.exec(option)?.[1];
      if (file === undefined) return option;
      try {
        return `seccomp=${JSON.stringify(JSON.parse(await readFile(file, 'utf8')))}`;
      } catch (cause) {
        // What stands in a file of the node is nobody's business.
        const why = cause instanceof SyntaxError ? 'it holds no JSON' : String(cause);
        throw refused(`security_opt: the seccomp profile ${file} cannot be used: ${why}`);
      }
    }),
  );
}

/** Where a task's own files of names lie, when its config adds to those of its group. */
export function hostsPath(stateDir: string, task: TaskConfig): string {
  return join(stateDir, `${containerName(task)}.hosts`);
}

/** The files of names of the group's network, with the task's own hosts. */
async function networkFiles(task: TaskConfig<DockerConfig>, stateDir: string): Promise<string[]> {
  const { config, network } = task;
  if (!network || config.network_mode !== '') return [];
  const own = [...config.dns_servers, ...config.dns_search_domains, ...config.dns_options];
  if (own.length > 0) throw refused("dns_servers and the like belong to the group's network: write dns { } there");
  let { hostsFile } = network;
  if (config.extra_hosts.length > 0) {
    const lines = config.extra_hosts.map((entry) => {
      const colon = entry.indexOf(':');
      return `${entry.slice(colon + 1)} ${entry.slice(0, colon)}\n`;
    });
    const text = hostsFile === null ? '127.0.0.1 localhost\n' : await readFile(hostsFile, 'utf8');
    hostsFile = hostsPath(stateDir, task);
    await mkdir(stateDir, { recursive: true });
    await writeFile(hostsFile, text + lines.join(''), { mode: 0o644 });
  }
  return [
    ...(hostsFile === null ? [] : [`${hostsFile}:/etc/hosts:ro`]),
    ...(network.resolvFile === null ? [] : [`${network.resolvFile}:/etc/resolv.conf:ro`]),
  ];
}
