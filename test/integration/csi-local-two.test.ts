import { join } from 'node:path';
import t from 'tap';
import { type ServedCsiPlugin, serveCsiPlugin } from '../support/csi-plugin.js';

// Two machines with a root each: what one has made, the other must not take for deleted.

const createOn = async ({ rpc }: ServedCsiPlugin): Promise<string> => {
  const { volume } = await rpc.call(
    'Controller.CreateVolume',
    {
      name: 'data',
      capacityRange: null,
      volumeCapabilities: [
        { mount: { fsType: '', mountFlags: [], volumeMountGroup: '' }, accessMode: { mode: 'SINGLE_NODE_WRITER' } },
      ],
      parameters: {},
      secrets: {},
      volumeContentSource: null,
      accessibilityRequirements: null,
    },
    { timeoutMs: 10_000 },
  );
  return volume?.volumeId ?? '';
};

t.test('a controller refuses to delete what lies on another machine, and a shared root has no machines', async (t) => {
  const serve = (id: string) => serveCsiPlugin('csi-local', (dir) => ['-root', join(dir, 'root'), '-node-id', id]);
  const [one, two] = await Promise.all([serve('one'), serve('two')]);
  t.teardown(() => Promise.all([one.end(), two.end()]));
  const volumeId = await createOn(one);
  t.not(volumeId, await createOn(two));
  const remove = ({ rpc }: ServedCsiPlugin) =>
    rpc.call('Controller.DeleteVolume', { volumeId, secrets: {} }, { timeoutMs: 10_000 });
  await t.rejects(remove(two), { code: 'FAILED_PRECONDITION', message: /lies on another machine/ });
  t.same(await remove(one), {});
  t.same(await remove(one), {});
});
