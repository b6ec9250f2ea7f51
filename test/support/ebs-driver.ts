// A CSI driver as those of the clouds are: controllers attach volumes to machines, one at a time, and nodes mount what is attached to
// them. Its cloud is a directory: `VOLUME/` is a volume, `VOLUME.attached` has the machine it is attached to.
// With --hold a call of which that directory has `before-NAME` or `after-NAME` (of what it does) waits until that file is gone, and
// says with `NAME.held` that it does: so whoever asked can be killed meanwhile.
// Usage: node ebs-driver.js controller|node --endpoint=unix:///path --cloud=DIR --node-id=ID [--hold=DIR]
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CsiError } from '../../lib/plugin/sdk/csi.js';
import { identityHandlers } from '../../lib/plugin/sdk/csi-plugin.js';
import { type CsiHandlers, serveCsi } from '../../lib/plugin/sdk/csi-server.js';
import { bindMount, mountAt, unmountAll } from '../../lib/plugin/sdk/mounts.js';

const [mode, ...flags] = process.argv.slice(2);
const flag = (name: string): string => flags.find((one) => one.startsWith(`--${name}=`))?.slice(name.length + 3) ?? '';
const cloud = flag('cloud');
const nodeId = flag('node-id');

function find(volumeId: string): { path: string; attached: string } {
  const path = join(cloud, volumeId);
  if (!existsSync(path)) throw new CsiError('NOT_FOUND', `the cloud has no volume ${volumeId}`);
  return { path, attached: `${path}.attached` };
}
const holderOf = (attached: string): string => (existsSync(attached) ? readFileSync(attached, 'utf8') : '');
const hold = flag('hold');
async function held(when: 'before' | 'after', name: string): Promise<void> {
  const file = join(hold, `${when}-${name}`);
  if (hold === '' || !existsSync(file)) return;
  writeFileSync(join(hold, `${name}.held`), '');
  while (existsSync(file)) await sleep(50);
  rmSync(join(hold, `${name}.held`), { force: true });
}
/** The same, whose calls can be held. */
const holdable = (handlers: CsiHandlers): CsiHandlers =>
  Object.fromEntries(
    Object.entries(handlers).map(([method, handle]) => [
      method,
      async (request: never) => {
        const name = method.split('.')[1] ?? '';
        await held('before', name);
        const answer = await (handle as (request: never) => Promise<unknown>)(request);
        await held('after', name);
        return answer;
      },
    ]),
  );
const can = (...types: string[]) => ({ capabilities: types.map((type) => ({ rpc: { type } })) });

const controller: CsiHandlers = {
  'Controller.ControllerGetCapabilities': async () => can('PUBLISH_UNPUBLISH_VOLUME'),
  'Controller.ValidateVolumeCapabilities': async ({ volumeId, volumeContext, volumeCapabilities, parameters }) => {
    find(volumeId);
    return { confirmed: { volumeContext, volumeCapabilities, parameters }, message: '' };
  },
  'Controller.ControllerPublishVolume': async (request) => {
    const { attached } = find(request.volumeId);
    const holder = holderOf(attached);
    if (holder !== '' && holder !== request.nodeId)
      throw new CsiError('FAILED_PRECONDITION', `${request.volumeId} is attached to ${holder}`);
    writeFileSync(attached, request.nodeId);
    return { publishContext: { devicePath: '/dev/xvdba' } };
  },
  'Controller.ControllerUnpublishVolume': async (request) => {
    const { attached } = find(request.volumeId);
    if (holderOf(attached) === request.nodeId) rmSync(attached);
    return {};
  },
};

const node: CsiHandlers = {
  'Node.NodeGetInfo': async () => ({
    nodeId,
    maxVolumesPerNode: 39,
    accessibleTopology: { segments: { 'topology.ebs.csi.aws.com/zone': 'us-east-1a' } },
  }),
  'Node.NodeGetCapabilities': async () => can('STAGE_UNSTAGE_VOLUME'),
  'Node.NodeStageVolume': async ({ volumeId, publishContext, stagingTargetPath }) => {
    const { path, attached } = find(volumeId);
    if (publishContext['devicePath'] !== '/dev/xvdba') throw new CsiError('INVALID_ARGUMENT', 'no device was named');
    if (holderOf(attached) !== nodeId) throw new CsiError('INTERNAL', `${volumeId} is not attached to ${nodeId}`);
    if (!(await mountAt(stagingTargetPath))) await bindMount(path, stagingTargetPath);
    return {};
  },
  'Node.NodePublishVolume': async ({ stagingTargetPath, targetPath }) => {
    await mkdir(targetPath, { recursive: true });
    if (!(await mountAt(targetPath))) await bindMount(stagingTargetPath, targetPath);
    return {};
  },
  'Node.NodeUnpublishVolume': async ({ targetPath }) => {
    await unmountAll(targetPath);
    await rmdir(targetPath).catch(() => {});
    return {};
  },
  'Node.NodeUnstageVolume': async ({ stagingTargetPath }) => {
    await unmountAll(stagingTargetPath);
    return {};
  },
};

const roles = { controller: true, node: mode === 'node' };
await serveCsi({
  endpoint: flag('endpoint'),
  handlers: {
    ...identityHandlers(
      'ebs.csi.test',
      { version: 'v0.10.1', roles },
      // Nodes say that there are controllers, too.
      { topology: true, expansion: null },
    ),
    ...holdable(mode === 'controller' ? controller : node),
  },
  onFailure: (method, error) => console.error(method, error.message),
});
process.once('SIGTERM', () => process.exit(0));
