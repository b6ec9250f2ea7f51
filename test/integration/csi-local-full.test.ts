import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { serveCsiPlugin } from '../support/csi-plugin.js';
import { mayMount, ownMounts } from '../support/own-mounts.js';

// A disk that is really full: what cannot be done says so and leaves nothing, a thin image that cannot grow is not well, and all
// of it passes when there is room.

ownMounts(import.meta.url);
const MIB = 1 << 20;
const wait = { timeoutMs: 60_000 };

if (!mayMount) t.test('csi-local on a full disk', { skip: 'needs root' }, async () => {});
else
  t.test('csi-local on a full disk', async (t) => {
    const { end, rpc, dir } = await serveCsiPlugin('csi-local', (dir) => {
      mkdirSync(join(dir, 'root'));
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${24 * MIB}`, 'none', join(dir, 'root')]);
      return ['-root', join(dir, 'root')];
    });
    t.teardown(async () => {
      await rpc.call('Node.NodeUnstageVolume', { volumeId, stagingTargetPath }, wait);
      execFileSync('umount', ['--lazy', join(dir, 'root')]);
      await end();
    });
    const capability = {
      mount: { fsType: '', mountFlags: [], volumeMountGroup: '' },
      accessMode: { mode: 'SINGLE_NODE_WRITER' as const },
    };
    const create = async (name: string, requiredBytes: number, parameters: Record<string, string>) => {
      const asked = { name, parameters, capacityRange: { requiredBytes, limitBytes: 0 } };
      const rest = { secrets: {}, volumeContentSource: null, accessibilityRequirements: null };
      const made = await rpc.call(
        'Controller.CreateVolume',
        { ...asked, volumeCapabilities: [capability], ...rest },
        wait,
      );
      return made.volume?.volumeId ?? '';
    };
    const stage = async (volumeId: string, stagingTargetPath: string) => {
      const order = { volumeId, stagingTargetPath, volumeCapability: capability };
      await rpc.call('Node.NodeStageVolume', { ...order, publishContext: {}, secrets: {}, volumeContext: {} }, wait);
    };
    const whole = await create('whole', 8 * MIB, { kind: 'image' });
    const image = join(dir, 'root/volumes', whole, 'disk.img');
    const again = join(dir, 'again');
    for (const what of ['it is formatted', 'a hole was made in it and it is staged again']) {
      await stage(whole, again);
      t.ok(statSync(image).blocks * 512 >= 8 * MIB, `its space stays set aside when ${what}`);
      await rpc.call('Node.NodeUnstageVolume', { volumeId: whole, stagingTargetPath: again }, wait);
      execFileSync('fallocate', ['--punch-hole', '--offset', `${6 * MIB}`, '--length', `${MIB}`, image]);
    }
    await rpc.call('Controller.DeleteVolume', { volumeId: whole, secrets: {} }, wait);

    const volumeId = await create('thin', 64 * MIB, { thin: 'true' });
    const stagingTargetPath = join(dir, 'stage');
    await stage(volumeId, stagingTargetPath);
    const conditions = async () => [
      (await rpc.call('Controller.ControllerGetVolume', { volumeId }, wait)).status?.volumeCondition,
      (await rpc.call('Node.NodeGetVolumeStats', { volumeId, volumePath: stagingTargetPath, stagingTargetPath }, wait))
        .volumeCondition,
    ];
    const well = { abnormal: false, message: '' };
    t.match(await conditions(), [well, well]);

    const ballast = join(dir, 'root/ballast');
    t.throws(() => writeFileSync(ballast, Buffer.alloc(32 * MIB)), { code: 'ENOSPC' });
    const full = { abnormal: true, message: /the disk of .*disk\.img is full, and the image is thin/ };
    t.match(await conditions(), [full, full]);
    const copy = { sourceVolumeId: volumeId, name: 'copy', secrets: {}, parameters: {} };
    const snapshot = rpc.call('Controller.CreateSnapshot', copy, wait);
    await t.rejects(snapshot, { code: 'RESOURCE_EXHAUSTED', message: /no room for the copy/ });
    const grown = { volumeId, capacityRange: { requiredBytes: 96 * MIB, limitBytes: 0 }, secrets: {} };
    const expand = () =>
      rpc.call('Controller.ControllerExpandVolume', { ...grown, volumeCapability: capability }, wait);
    await t.rejects(expand(), { code: 'RESOURCE_EXHAUSTED', message: /no space left/i });

    rmSync(ballast);
    t.match(await conditions(), [well, well]);
    t.match(await expand(), { capacityBytes: 96 * MIB });
  });
