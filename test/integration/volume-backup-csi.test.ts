// Backups of csi-local's volumes, which lie on one machine each: taken while a task writes, brought to another machine, and an agent
// killed on the way. Nothing is left mounted, and nothing at the plugin.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { CsiVolume } from '../../lib/structs/csi.js';
import type { VolumeArchiveView } from '../../lib/structs/volume-data.js';
import { traces } from '../support/leftovers.js';
import { allocsOf, eventually, jobJson, MESHNOMAD, TestAgent } from '../support/mesh-agent.js';
import { mayMount, ownMounts } from '../support/own-mounts.js';

ownMounts(import.meta.url);

const PLUGIN = jobJson('plugin-csi-local', {
  type: 'system',
  config: {
    command: process.execPath,
    args: [
      MESHNOMAD,
      'plugin',
      'csi-local',
      '-endpoint',
      '${CSI_ENDPOINT}',
      '-node-id',
      '${node.unique.id}',
      '-root',
      '${meta.root}',
    ],
  },
  task: {
    CSIPluginConfig: { ID: 'csi-local', Type: 'monolith', MountDir: '/csi' },
    Resources: { CPU: 20, MemoryMB: 128 },
  },
});

const WRITER =
  'cd "$NOMAD_TASK_DIR/../data" && echo row >> rows && ln -f rows twin && head -c 2000000 /dev/urandom > blob && touch "done-$NOMAD_ALLOC_ID"; exec sleep 3600';
const user = (id: string): object =>
  jobJson(`use-${id}`, {
    config: { command: '/bin/sh', args: ['-c', WRITER] },
    task: { VolumeMounts: [{ Volume: 'data', Destination: '/data' }] },
    group: {
      Volumes: {
        data: { Type: 'csi', Source: id, AccessMode: 'single-node-writer', AttachmentMode: 'file-system' },
      },
    },
  });

interface Machine {
  readonly agent: TestAgent;
  readonly nodeId: string;
  readonly root: string;
}

t.test('the data of CSI volumes follows', { timeout: 300_000, skip: !mayMount && 'mounting takes root' }, async (t) => {
  const server = await TestAgent.start({ roles: { client: false } });
  const machines: Machine[] = [];
  t.teardown(async () => {
    // It stops the jobs while the machines live, which unmount.
    await server.dispose();
    for (const { agent } of machines) await agent.dispose();
  });
  for (const name of ['one', 'two']) {
    const root = join(server.dir, `root-${name}`);
    const config = `client {\n  servers = ["127.0.0.1:${server.rpcPort}"]\n  meta {\n    root = "${root}"\n  }\n}\n`;
    const agent = await TestAgent.start({ name, roles: { server: false }, config });
    const { stats } = await agent.get<{ stats: { client: { node_id: string } } }>('/v1/agent/self');
    machines.push({ agent, root, nodeId: stats.client.node_id });
  }
  const ok = async (...args: string[]): Promise<string> => {
    const { code, out, err } = await server.cli(args);
    if (code !== 0) throw new Error(`${args.join(' ')}: ${out}${err}`);
    return out;
  };
  const volume = (id: string): Promise<CsiVolume> => server.get(`/v1/volume/csi/${id}`);
  const machineOf = async (id: string): Promise<Machine> => {
    const { Topologies } = await volume(id);
    const home = Object.values(Topologies?.[0]?.Segments ?? {})[0];
    return machines.find(({ nodeId }) => nodeId === home) as Machine;
  };
  const other = (machine: Machine): Machine => machines.find((one) => one !== machine) as Machine;
  /** What plugins have is what the servers know. */
  const isTidy = (): Promise<true> =>
    eventually('nothing to be left at the plugins', async () => {
      const known = await server.get<{ ExternalID: string }[]>('/v1/volumes?type=csi');
      const there = machines.flatMap(({ root }) => readdirSync(join(root, 'volumes')));
      const snapshots = machines.flatMap(({ root }) => readdirSync(join(root, 'snapshots')));
      const isSame = JSON.stringify(there.sort()) === JSON.stringify(known.map(({ ExternalID }) => ExternalID).sort());
      return isSame && snapshots.length === 0 ? true : undefined;
    });
  const rows = async (id: string): Promise<number> => {
    await server.register(user(id));
    const [alloc] = await allocsOf(server, `use-${id}`, 'running', 1);
    const { root } = await machineOf(id);
    const machine = machines.find((one) => one.root === root) as Machine;
    const dir = join(machine.agent.dir, 'data/csi/node/csi-local/per-alloc', alloc?.ID ?? '', id);
    const path = await eventually('the volume of the allocation', () => {
      const usage = existsSync(dir) ? readdirSync(dir)[0] : undefined;
      return usage === undefined ? undefined : join(dir, usage);
    });
    return eventually('its row', () => {
      if (!existsSync(join(path, `done-${alloc?.ID}`))) return undefined;
      return readFileSync(join(path, 'twin'), 'utf8').split('\n').length - 1;
    });
  };
  const stop = async (id: string): Promise<void> => {
    await ok('job', 'stop', '-purge', '-detach', `use-${id}`);
    await eventually('the claim to end', async () => ((await volume(id)).Claims.length === 0 ? true : undefined));
  };

  await server.register(PLUGIN);
  await eventually('the plugins to be healthy', async () => {
    const plugin = await server.get<{ NodesHealthy: number; ControllersHealthy: number }>('/v1/plugin/csi/csi-local');
    return plugin.NodesHealthy === 2 && plugin.ControllersHealthy === 2 ? true : undefined;
  });
  for (const id of ['dir', 'img']) {
    const capability = { AccessMode: 'single-node-writer', AttachmentMode: 'file-system' };
    const size = id === 'img' ? { RequestedCapacityMin: 32 << 20, Parameters: { thin: 'true' } } : {};
    const wanted = { ID: id, Name: id, PluginID: 'csi-local', RequestedCapabilities: [capability], ...size };
    const made = await server.put(`/v1/volume/csi/${id}/create`, { Volumes: [wanted] });
    t.equal(made.status, 200, made.text);
  }
  for (const id of ['dir', 'img']) {
    t.equal(await rows(id), 1);
    t.match(await ok('volume', 'backup', id), /Backup \w+: 4 files, 1\.9 MiB/, id);
    const refused = await server.cli(['volume', 'move', '-node', other(await machineOf(id)).nodeId, id]);
    t.match(refused, { code: 1, err: /in use: it is held by allocation/ });
    await stop(id);
  }
  await t.test('to another machine, and there', async (t) => {
    for (const id of ['dir', 'img']) {
      const before = await machineOf(id);
      await ok('volume', 'move', '-node', other(before).nodeId, id);
      t.equal(await machineOf(id), other(before));
      t.equal(await rows(id), 2, 'the rows are there');
      await stop(id);
    }
    const here = await machineOf('img');
    await ok('volume', 'restore', '-force', 'img');
    t.equal(await rows('img'), 2, 'the row after the backup is not');
    await stop('img');
    await ok('volume', 'restore', '-as', 'img-2', '-node', other(here).nodeId, 'img');
    t.equal(await machineOf('img-2'), other(here));
    await isTidy();
  });
  await t.test('an agent that is killed meanwhile does it all the same', async (t) => {
    const operation = async (path: string, body: object): Promise<VolumeArchiveView> => {
      const { agent } = await machineOf('img');
      const { status, text } = await server.put(`/v1/volume/backup/img${path}`, body);
      t.equal(status, 200, text);
      const { ID } = (JSON.parse(text) as { Operation: { ID: string } }).Operation;
      await sleep(300);
      await agent.kill();
      agent.launch();
      await agent.ready();
      return eventually('the operation to end', async () => {
        const archive = await server.get<VolumeArchiveView>('/v1/volume/backup/img');
        return archive.LastOperation?.ID === ID ? archive : undefined;
      });
    };
    t.match(await operation('', {}), { LastOperation: { Step: 'done', Message: '' } });
    t.match(await operation('/restore', { Force: true }), { LastOperation: { Step: 'done', Message: '' } });
    t.equal(await rows('img'), 3);
    await stop('img');
    await isTidy();
  });
  await ok('job', 'stop', '-purge', '-detach', 'plugin-csi-local');
  await allocsOf(server, 'plugin-csi-local', 'complete', 2);
  const left = traces([server, ...machines.map(({ agent }) => agent)].map(({ dir }) => dir));
  t.same(
    left.filter((line) => /per-alloc|staging/.test(line)),
    [],
  );
});
