import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
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
    t.test(
      `csi-local ${kind.name}: a volume whose data was removed says so, and is deleted all the same`,
      async (t) => {
        const wait = { timeoutMs: 60_000 };
        const capability = {
          ...(kind.access === 'block'
            ? { block: {} }
            : { mount: { fsType: '', mountFlags: [], volumeMountGroup: '' } }),
          accessMode: { mode: 'SINGLE_NODE_WRITER' as const },
        };
        const { volume } = await rpc.call(
          'Controller.CreateVolume',
          {
            name: 'vanished',
            capacityRange: { requiredBytes: kind.sizeBytes, limitBytes: 0 },
            volumeCapabilities: [capability],
            parameters: kind.parameters as Record<string, string>,
            secrets: {},
            volumeContentSource: null,
            accessibilityRequirements: null,
          },
          wait,
        );
        const volumeId = volume?.volumeId ?? '';
        const place = join(dir, 'root/volumes', volumeId);
        for (const name of ['data', 'disk.img']) rmSync(join(place, name), { recursive: true, force: true });
        const order = {
          volumeId,
          publishContext: {},
          stagingTargetPath: join(dir, 'stage-vanished'),
          volumeCapability: capability,
          secrets: {},
          volumeContext: {},
        };
        await t.rejects(rpc.call('Node.NodeStageVolume', order, wait), {
          code: 'INTERNAL',
          message: /volume "vanished" has no data on this machine any more: .* is gone/,
        });
        const { status } = await rpc.call('Controller.ControllerGetVolume', { volumeId }, wait);
        t.match(status, { volumeCondition: { abnormal: true, message: /is gone/ } });
        await rpc.call('Controller.DeleteVolume', { volumeId, secrets: {} }, wait);
      },
    );
    t.test(`csi-local ${kind.name}: no loop device is left`, async (t) => {
      const loops = execFileSync('losetup', ['--list', '--noheadings', '--output', 'BACK-FILE'], { encoding: 'utf8' });
      t.notMatch(loops, dir);
    });
  }
