import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { csiConformance } from '../conformance/csi.js';
import { serveCsiPlugin } from '../support/csi-plugin.js';
import { mayMount, ownMounts } from '../support/own-mounts.js';

ownMounts(import.meta.url);

/** Stands in for mount.nfs, which needs a kernel with NFS: the server's files are a directory here. */
const MOUNT = `#!/bin/sh
if [ "$1" = -t ] && [ "$2" = nfs ]; then
  path="$NFS_SERVER_ROOT\${6#*:}"
  [ -d "$path" ] || { echo "mount.nfs: mounting $6 failed, reason given by server: No such file or directory" >&2; exit 32; }
  /bin/mount --bind "$path" "$7" || exit 32
  case ",$4," in *,ro,*) exec /bin/mount -o remount,bind,ro "$7" ;; esac
  exit 0
fi
exec /bin/mount "$@"
`;

if (!mayMount) t.test('csi-nfs mounts', { skip: 'needs root' }, async () => {});
else {
  const server = mkdtempSync(join(tmpdir(), `nfs-${process.pid}-`));
  mkdirSync(join(server, 'bin'));
  mkdirSync(join(server, 'files/srv/data'), { recursive: true });
  writeFileSync(join(server, 'bin/mount'), MOUNT);
  chmodSync(join(server, 'bin/mount'), 0o755);
  const env = { NFS_SERVER_ROOT: join(server, 'files'), PATH: `${server}/bin:${process.env['PATH']}` };
  const flags = (dir: string): string[] => ['-server', 'nas', '-share', '/srv/data', '-work-dir', join(dir, 'work')];
  const { end, rpc, dir } = await serveCsiPlugin('csi-nfs', flags, env);
  t.teardown(async () => {
    await end();
    rmSync(server, { recursive: true, force: true });
  });
  await csiConformance('csi-nfs', {
    rpc,
    dir,
    parameters: {},
    access: 'mount',
    sizeBytes: 1 << 20,
    growsMounted: true,
  });

  t.test('an existing directory of the server is a volume by its id, and is never removed', async (t) => {
    mkdirSync(join(server, 'files/srv/data/old'));
    writeFileSync(join(server, 'files/srv/data/old/row'), 'kept');
    const volumeId = 'nas#/srv/data#old';
    await rpc.call('Controller.DeleteVolume', { volumeId, secrets: {} }, { timeoutMs: 10_000 });
    const found = await rpc.call(
      'Controller.ValidateVolumeCapabilities',
      {
        volumeId,
        volumeContext: {},
        volumeCapabilities: [
          {
            mount: { fsType: '', mountFlags: [], volumeMountGroup: '' },
            accessMode: { mode: 'MULTI_NODE_MULTI_WRITER' },
          },
        ],
        parameters: {},
        secrets: {},
      },
      { timeoutMs: 10_000 },
    );
    t.ok(found.confirmed);
  });
}
