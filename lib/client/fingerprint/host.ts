import { arch, constants, hostname, type as osType, release } from 'node:os';
import type { Facts, Fingerprint } from './fact.js';
import { readText } from './read.js';

/** Node's names of architectures, and Go's, which constraints in job files use. */
const GO_ARCH: Record<string, string> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };

/** Architecture, kernel, operating system and name of the machine. */
export const hostFingerprint: Fingerprint = {
  name: 'host',
  periodMs: null,
  async run(): Promise<Facts> {
    const os = parseOsRelease((await readText('/etc/os-release')) ?? '');
    return {
      attributes: {
        'cpu.arch': GO_ARCH[arch()] ?? arch(),
        'kernel.name': osType().toLowerCase(),
        'kernel.version': release(),
        'kernel.arch': arch() === 'x64' ? 'x86_64' : arch() === 'arm64' ? 'aarch64' : arch(),
        'os.name': os['ID'] ?? osType().toLowerCase(),
        'os.version': os['VERSION_ID'] ?? '',
        'unique.hostname': hostname(),
        'os.signals': Object.keys(constants.signals).sort().join(','),
      },
    };
  },
};

/** The `KEY="value"` lines of os-release(5). */
export function parseOsRelease(text: string): Record<string, string> {
  const values: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const match = /^([A-Z_]+)=(?:"(.*)"|'(.*)'|(.*))$/.exec(line.trim());
    if (match) values[match[1] as string] = match[2] ?? match[3] ?? match[4] ?? '';
  }
  return values;
}
