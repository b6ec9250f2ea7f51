import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { csiConformance } from '../conformance/csi.js';
import { serveCsiPlugin } from '../support/csi-plugin.js';
import { mayMount, ownMounts } from '../support/own-mounts.js';

ownMounts(import.meta.url);
const MIB = 1 << 20;

const CAP_SYS_RESOURCE = 24n;
const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
const growsMounted = ((BigInt(`0x${capabilities}`) >> CAP_SYS_RESOURCE) & 1n) === 1n;

const mount = 'mount' as const;
const xfs = { kind: 'image', thin: 'true' };
const KINDS = [
  { name: 'ext4', parameters: { kind: 'image' }, access: mount, sizeBytes: 32 * MIB, growsMounted },
  { name: 'xfs', parameters: xfs, access: mount, fsType: 'xfs', sizeBytes: 300 * MIB, growsMounted: true },
  { name: 'directory', parameters: { kind: 'directory' }, access: mount, sizeBytes: 32 * MIB, growsMounted: true },
  { name: 'block', parameters: {}, access: 'block' as const, sizeBytes: 8 * MIB, growsMounted: true },
];

if (!mayMount) t.test('csi-local mounts', { skip: 'needs root' }, async () => {});
else
  for (const kind of KINDS) {
    const { end, rpc, dir } = await serveCsiPlugin('csi-local', (dir) => ['-root', join(dir, 'root')]);
    t.teardown(end);
    await csiConformance(`csi-local ${kind.name}`, { rpc, dir, ...kind });
    t.test(`csi-local ${kind.name}: no loop device is left`, async (t) => {
      const loops = execFileSync('losetup', ['--list', '--noheadings', '--output', 'BACK-FILE'], { encoding: 'utf8' });
      t.notMatch(loops, dir);
    });
  }
