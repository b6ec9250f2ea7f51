import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Client } from '../../lib/client/client.js';
import { CsiError, type CsiStatus } from '../../lib/plugin/sdk/csi.js';
import type { CsiHandlers } from '../../lib/plugin/sdk/csi-server.js';
import { ask, World } from './csi-world.js';
import { until } from './fakes.js';

// Drivers that answer late, wrong, twice differently, too much or not at all. None of it may stop the agent, mount anything
// twice, or free a claim while something may still be mounted; and a person is told what the plugin said.

type Method = keyof CsiHandlers;

/** Has a method fail with each of the codes in turn, and then do what it does. */
function failFirst(world: World, method: Method, codes: readonly CsiStatus[], said = 'not now'): void {
  const { handlers } = world.plugin;
  const real = handlers[method] as (request: unknown) => Promise<unknown>;
  const left = [...codes];
  Object.assign(handlers, {
    [method]: async (request: unknown) => {
      const code = left.shift();
      if (code) throw new CsiError(code, said);
      return real(request);
    },
  });
}

async function start(t: Test, prepare: (world: World) => void): Promise<{ world: World; client: Client }> {
  const world = new World(t);
  world.hurry = 20;
  prepare(world);
  await world.serve(t);
  return { world, client: await world.client(t) };
}

const staging = (world: World): string => join(world.dir, 'csi/node/p/staging');

t.test('what a plugin cannot do at the moment is tried again, and told', async (t) => {
  const { world, client } = await start(t, (world) => {
    failFirst(world, 'Node.NodeStageVolume', ['ABORTED', 'UNAVAILABLE'], 'an operation is pending');
    failFirst(world, 'Node.NodePublishVolume', ['INTERNAL'], '');
  });
  const alloc = world.put(client);
  await until(() => world.status(alloc.ID) === 'running', 'running');
  const events = world.events(alloc.ID);
  t.match(events, /Waiting for mounting volume "data": .*an operation is pending \(ABORTED\)/);
  t.match(events, /NodeStageVolume: an operation is pending \(UNAVAILABLE\)/, 'who refuses has answered');
  t.match(events, /NodePublishVolume: its reason did not come through, its log may tell \(INTERNAL\)/);
});

t.test('what a plugin says will never be is not asked for again, and the claim is given back', async (t) => {
  for (const code of ['ALREADY_EXISTS', 'INVALID_ARGUMENT', 'NOT_FOUND'] as const) {
    const { world, client } = await start(t, (world) => {
      world.plugin.handlers['Node.NodePublishVolume'] = async () => {
        world.plugin.calls.push('publish');
        throw new CsiError(code, 'it is published otherwise');
      };
    });
    const alloc = world.put(client);
    await until(() => world.status(alloc.ID) === 'failed', 'failed');
    t.match(world.events(alloc.ID), /mounting volume "data": .*NodePublishVolume: it is published otherwise/);
    await until(() => world.server.released.length === 1, 'released');
    t.equal(world.plugin.calls.filter((call) => call === 'publish').length, 1, code);
    t.notOk(existsSync(staging(world)));
  }
});

t.test(
  'a claim is not given back while the plugin fails to unmount, whatever it says, and is as soon as it does',
  async (t) => {
    const { world, client } = await start(t, (world) => {
      failFirst(world, 'Node.NodeUnpublishVolume', ['INTERNAL', 'UNKNOWN']);
      failFirst(world, 'Node.NodeUnstageVolume', ['FAILED_PRECONDITION']);
      const { 'Node.NodeUnstageVolume': real } = world.plugin.handlers;
      world.plugin.handlers['Node.NodeUnstageVolume'] = async (request) => {
        t.same(world.server.released, [], 'nobody was told yet');
        return (await real?.(request)) ?? {};
      };
    });
    const alloc = world.put(client);
    await until(() => world.status(alloc.ID) === 'running', 'running');
    world.server.put({ ...alloc, DesiredStatus: 'stop' });
    await until(() => world.server.released.length === 1, 'released');
    t.equal(world.plugin.calls.at(-1), 'unstage');
  },
);

t.test('a plugin that has forgotten what it mounted does not keep a claim', async (t) => {
  const { world, client } = await start(t, (world) => {
    const gone = async (): Promise<never> => {
      throw new CsiError('NOT_FOUND', 'I know of no such volume');
    };
    world.plugin.handlers['Node.NodeUnpublishVolume'] = gone;
    world.plugin.handlers['Node.NodeUnstageVolume'] = gone;
  });
  const alloc = world.put(client);
  await until(() => world.status(alloc.ID) === 'running', 'running');
  world.server.put({ ...alloc, DesiredStatus: 'stop' });
  await until(() => world.server.released.length === 1, 'released');
});

t.test('a plugin that says little, wrong things or nothing is not healthy, and it is said why', async (t) => {
  const said = async (prepare: (world: World) => void): Promise<string> => {
    const { world, client } = await start(t, prepare);
    const alloc = world.put(client);
    await until(() => /Waiting for the plugin of volume/.test(world.events(alloc.ID)), 'it waits');
    await until(() => /is not healthy on this node: (?!it has not answered)/.test(world.events(alloc.ID)), 'why');
    t.equal(client.node().CSINodePlugins, null);
    world.server.put({ ...alloc, DesiredStatus: 'stop' });
    return world.events(alloc.ID);
  };
  const info = { name: 'fake.csi', vendorVersion: '1', manifest: {} };
  const place = { nodeId: 'n1', maxVolumesPerNode: 0, accessibleTopology: null };
  const cases: [prepare: (world: World) => void, why: RegExp][] = [
    [
      ({ plugin }) => {
        plugin.handlers['Node.NodeGetInfo'] = async () => ({ ...place, nodeId: '' });
      },
      /it gives no node ID/,
    ],
    [
      ({ plugin }) => {
        plugin.handlers['Identity.GetPluginInfo'] = async () => ({ ...info, name: '' });
      },
      /it gives no name/,
    ],
    [
      ({ plugin }) => {
        plugin.handlers['Identity.Probe'] = async () => ({ ready: { value: false } });
      },
      /says that it is not ready yet/,
    ],
    [
      ({ plugin }) => {
        plugin.handlers['Identity.Probe'] = () => new Promise(() => {});
      },
      /no answer within 5 s/,
    ],
    [
      ({ plugin }) => {
        delete plugin.handlers['Node.NodeGetInfo'];
      },
      /NodeGetInfo: the plugin cannot do this/,
    ],
    [
      ({ plugin }) => {
        const segments = Object.fromEntries(Array.from({ length: 4_000 }, (_, i) => [`zone-${i}`, 'x'.repeat(50)]));
        plugin.handlers['Node.NodeGetInfo'] = async () => ({ ...place, accessibleTopology: { segments } });
      },
      /NodeGetInfo: its topology has more than/,
    ],
  ];
  await Promise.all(cases.map(async ([prepare, why]) => t.match(await said(prepare), why)));
});

t.test('what a plugin says at length is cut before it is told to anybody', async (t) => {
  const { world, client } = await start(t, (world) => {
    world.plugin.handlers['Node.NodeStageVolume'] = async () => {
      throw new CsiError('INVALID_ARGUMENT', 'no '.repeat(1_500));
    };
  });
  const alloc = world.put(client);
  await until(() => world.status(alloc.ID) === 'failed', 'failed');
  t.match(world.events(alloc.ID), /NodeStageVolume: no no /);
  t.ok(world.events(alloc.ID).length < 4_000, `${world.events(alloc.ID).length} characters`);
});

t.test('a volume that is not well is told of once, and once more when it is well again', async (t) => {
  const condition = { abnormal: false, message: '' };
  const { world, client } = await start(t, (world) => {
    const { handlers } = world.plugin;
    world.hurry = 2_000;
    handlers['Node.NodeGetCapabilities'] = async () => ({ capabilities: [{ rpc: { type: 'GET_VOLUME_STATS' } }] });
    handlers['Node.NodeGetVolumeStats'] = async ({ volumePath }) => {
      if (!existsSync(volumePath)) throw new CsiError('NOT_FOUND', 'it is not there');
      const usage = { unit: 'BYTES', total: 100, used: 40, available: 60 } as const;
      return { usage: [usage], volumeCondition: { ...condition } };
    };
  });
  const alloc = world.put(client);
  await until(() => client.stats().volumes.length === 1, 'it is looked at');
  t.match(client.stats().volumes, [
    { allocId: alloc.ID, volumeId: 'data', Usage: [{ Unit: 'BYTES', Used: 40 }], Condition: { Abnormal: false } },
  ]);
  condition.abnormal = true;
  condition.message = 'its disk fails';
  await until(() => /Volume "data" is not well: its disk fails/.test(world.events(alloc.ID)), 'told');
  condition.abnormal = false;
  await until(() => /Volume "data" is well again/.test(world.events(alloc.ID)), 'told again');
  t.equal(world.events(alloc.ID).match(/is not well/g)?.length, 1);
  world.server.put({ ...alloc, DesiredStatus: 'stop' });
  await until(() => world.server.released.length === 1, 'released');
  await until(() => client.stats().volumes.length === 0, 'forgotten');
});

t.test('a plugin that stages nothing is asked for no staging', async (t) => {
  const { world, client } = await start(t, (world) => {
    world.plugin.handlers['Node.NodeGetCapabilities'] = async () => ({ capabilities: [] });
  });
  const alloc = world.put(client);
  await until(() => world.status(alloc.ID) === 'running', 'running');
  t.same(world.plugin.calls, ['publish rw SINGLE_NODE_WRITER']);
  world.server.put({ ...alloc, DesiredStatus: 'stop' });
  await until(() => world.server.released.length === 1, 'released');
  t.same(world.plugin.calls, ['publish rw SINGLE_NODE_WRITER', 'unpublish']);
});

t.test('a volume that a plugin makes and describes wrongly is not kept', async (t) => {
  const volume = { volumeId: 'v', capacityBytes: 0, volumeContext: {}, contentSource: null, accessibleTopology: [] };
  let made: typeof volume | null = null;
  const { client } = await start(t, (world) => {
    world.plugin.handlers['Controller.CreateVolume'] = async () => ({ volume: made });
  });
  await until(() => client.node().CSIControllerPlugins?.['p']?.Healthy === true, 'healthy');
  const create = (answer: typeof volume | null) => {
    made = answer;
    return ask(client, 'ClientCSI.ControllerCreate', {
      NodeID: client.nodeId,
      PluginID: 'p',
      Name: 'x',
      Capabilities: [{ AccessMode: 'single-node-writer', AttachmentMode: 'file-system' }],
      MountOptions: null,
      Parameters: null,
      Secrets: null,
      CapacityMin: 10,
      CapacityMax: 20,
      SnapshotID: '',
      CloneID: '',
      RequestedTopologies: null,
    });
  };
  await t.rejects(create(null), { message: /created a volume and does not say which/ });
  await t.rejects(create({ ...volume, volumeId: '' }), { message: /created a volume and does not say which/ });
  await t.rejects(create({ ...volume, capacityBytes: 5 }), {
    message: /made volume v with 5 bytes, and 10 to 20 were asked for/,
  });
  await t.rejects(create({ ...volume, capacityBytes: 25 }), { message: /25 bytes/ });
  await t.rejects(create({ ...volume, volumeContext: { a: 'x'.repeat(100_000) } }), {
    message: /context has more than/,
  });
  t.match(await create(volume), { ExternalID: 'v' }, 'a size it does not tell is no wrong size');
});
