import { isIP } from 'node:net';
import { capProblems } from '../../lib/plugin/sdk/capabilities.js';
import type { ConfigProblem } from '../../lib/plugin/sdk/driver.js';
import { nearest } from '../../lib/util/nearest.js';
import type { DockerConfig } from './config.js';

// What is wrong with a task's config though each of its values is of the right type: engines refuse some of this with words of
// their own, and pass over the rest in silence.

const CONTAINER = /^container:.+/;
/** The words of each key, and whether it may name another container. */
const MODES = {
  pid_mode: { words: ['', 'private', 'host'], other: true },
  ipc_mode: { words: ['', 'none', 'private', 'shareable', 'host'], other: true },
  uts_mode: { words: ['', 'private', 'host'], other: false },
} as const;
const PROPAGATIONS = ['', 'private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'];

const ULIMITS =
  'as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(' ');

/** Everything that is wrong with it. */
export function taskProblems(config: DockerConfig): ConfigProblem[] {
  return [
    ...modeProblems(config),
    ...limitProblems(config),
    ...capProblems({ cap_add: config.cap_add, cap_drop: config.cap_drop }),
    ...nameProblems(config),
    ...mountProblems(config),
    ...deviceProblems(config),
  ];
}

function modeProblems(config: DockerConfig): ConfigProblem[] {
  return (Object.keys(MODES) as (keyof typeof MODES)[]).flatMap((path) => {
    const { words, other } = MODES[path];
    const value = config[path];
    if ((words as readonly string[]).includes(value) || (other && CONTAINER.test(value))) return [];
    const known = words.filter((word) => word !== '').map((word) => `"${word}"`);
    const list = [...known, ...(other ? ['"container:NAME"'] : [])].join(', ');
    return [{ path, message: `must be one of ${list}, not "${value}"` }];
  });
}

function limitProblems({ ulimit, memory_hard_limit }: DockerConfig): ConfigProblem[] {
  const problems = Object.entries(ulimit).flatMap(([name, value]) => {
    const message = ulimitProblem(name, value);
    return message === '' ? [] : [{ path: `ulimit.${name}`, message }];
  });
  if (memory_hard_limit > 0 && memory_hard_limit < 6)
    problems.push({ path: 'memory_hard_limit', message: 'is in MB and must be at least 6' });
  return problems;
}

function ulimitProblem(name: string, value: string): string {
  if (!ULIMITS.includes(name)) {
    const near = nearest(name, ULIMITS);
    return `is no limit; ${near ? `did you mean "${near}"?` : `known are ${ULIMITS.join(', ')}`}`;
  }
  const limit = parseUlimit(value);
  if (!limit) return `must be "soft" or "soft:hard" such as "2048:4096", not "${value}"`;
  // -1 is no limit.
  const isBelow = limit.hard !== -1 && (limit.soft === -1 || limit.soft > limit.hard);
  return isBelow ? `has a soft limit above the hard one: "${value}"` : '';
}

function nameProblems({ image, dns_servers, extra_hosts, work_dir }: DockerConfig): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  if (/\s/.test(image)) problems.push({ path: 'image', message: `must be the name of an image, not "${image}"` });
  if (work_dir !== '' && !work_dir.startsWith('/'))
    problems.push({ path: 'work_dir', message: `must be an absolute path in the container, not "${work_dir}"` });
  dns_servers.forEach((server, i) => {
    if (isIP(server) === 0)
      problems.push({ path: `dns_servers[${i}]`, message: `must be an address, not "${server}"` });
  });
  extra_hosts.forEach((entry, i) => {
    const [, address = ''] = /^[^:\s]+:(.+)$/.exec(entry) ?? [];
    if (isIP(address) === 0 && address !== 'host-gateway')
      problems.push({ path: `extra_hosts[${i}]`, message: `must be "name:address", not "${entry}"` });
  });
  return problems;
}

function mountProblems({ volumes, mount, mounts }: DockerConfig): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  volumes.forEach((volume, i) => {
    if (parseVolume(volume)) return;
    problems.push({
      path: `volumes[${i}]`,
      message: `must be "source:target" or "source:target:mode", not "${volume}"`,
    });
  });
  for (const [key, list] of Object.entries({ mount, mounts })) {
    list.forEach(({ type, source, target, bind_options }, i) => {
      const path = `${key}[${i}]`;
      if (!target.startsWith('/'))
        problems.push({
          path: `${path}.target`,
          message: `must be an absolute path in the container, not "${target}"`,
        });
      if (type === 'bind' && source === '')
        problems.push({ path: `${path}.source`, message: 'is missing: the path on the node' });
      const propagation = bind_options?.propagation ?? '';
      if (!PROPAGATIONS.includes(propagation)) {
        const message = `must be one of ${PROPAGATIONS.slice(1).join(', ')}, not "${propagation}"`;
        problems.push({ path: `${path}.bind_options.propagation`, message });
      }
    });
  }
  return problems;
}

function deviceProblems({ devices }: DockerConfig): ConfigProblem[] {
  return devices.flatMap(({ cgroup_permissions }, i) =>
    /^[rwm]{0,3}$/.test(cgroup_permissions)
      ? []
      : [{ path: `devices[${i}].cgroup_permissions`, message: `must be some of "rwm", not "${cgroup_permissions}"` }],
  );
}

export function parseUlimit(value: string): { soft: number; hard: number } | undefined {
  const match = /^(-?\d+)(?::(-?\d+))?$/.exec(value.trim());
  return match ? { soft: Number(match[1]), hard: Number(match[2] ?? match[1]) } : undefined;
}

export function parseVolume(volume: string): { source: string; target: string; mode: string } | undefined {
  const [source = '', target = '', mode = '', ...rest] = volume.split(':');
  if (source === '' || !target.startsWith('/') || rest.length > 0) return undefined;
  return { source, target, mode };
}
