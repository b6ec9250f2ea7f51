import { readdirSync, readFileSync, rmdirSync } from 'node:fs';

/** Removes an empty cgroup of tests from every tree. */
export function removeCgroup(name: string): void {
  for (const root of cgroupRoots()) {
    try {
      rmdirSync(`${root}/${name}`);
    } catch {
      // It was never made there.
    }
  }
}

function cgroupRoots(): string[] {
  return mountPaths().filter((path) => path.startsWith('/sys/fs/cgroup'));
}

function mountPaths(): string[] {
  const lines = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  return lines.map((line) => line.split(' ')[1] ?? '');
}

/**
 * What tasks could leave behind on this machine, as one sorted list to be compared before and after: mounts, cgroups,
 * namespaces and links that have one of the words in their names. Other tests run at the same time.
 */
export function traces(words: readonly string[]): string[] {
  const cgroups = cgroupRoots().flatMap((root) =>
    list(root).flatMap((name) => [name, ...list(`${root}/${name}`).map((inner) => `${name}/${inner}`)]),
  );
  const all = [
    ...mountPaths().map((path) => `mount ${path}`),
    ...cgroups.map((path) => `cgroup ${path}`),
    ...list('/run/netns').map((name) => `netns ${name}`),
    ...list('/sys/class/net').map((name) => `link ${name}`),
  ];
  return all.filter((name) => words.some((word) => name.includes(word))).sort();
}

/** Folders in a folder; none when it is not there. */
function list(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => !entry.isFile())
      .map(({ name }) => name);
  } catch {
    return [];
  }
}

/** The processes that have a text in their arguments. */
export function processesWith(text: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(text);
      } catch {
        return false;
      }
    });
}

/** The processes that were started for an allocation, by their environment. */
export function processesOf(allocId: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`NOMAD_ALLOC_ID=${allocId}`);
      } catch {
        return false;
      }
    });
}
