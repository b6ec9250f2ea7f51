import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { AgentFacts } from '../../lib/http/agent-facts.js';
import { createHttpServer } from '../../lib/http/server.js';
import { MeshError } from '../../lib/structs/errors.js';
import type { VolumeRequest } from '../../lib/structs/volume.js';
import type { RpcCaller } from '../../lib/transport/rpc.js';
import { silentLog } from '../../lib/util/log.js';
import { mockGroup, mockJob } from '../scheduler/mock.js';
import { controllerInfo, createVolumeWorld, type VolumeWorld } from '../server/volume-world.js';
import { MESHNOMAD } from '../support/mesh-agent.js';
import { type Ran, runCli } from './world.js';

const SECRET = 'hunter2-secret';

const SPEC = `
type      = "csi"
id        = "db"
name      = "database"
plugin_id = "nfs"
capability {
  access_mode     = "single-node-writer"
  attachment_mode = "file-system"
}
secrets {
  password = "${SECRET}"
}
mount_options {
  fs_type     = "ext4"
  mount_flags = ["pass=${SECRET}"]
}
`;

/** The command line, the HTTP API and the servers as they are; nodes answer to order. */
async function createStory(t: Test): Promise<{
  world: VolumeWorld;
  run: (...argv: string[]) => Promise<Ran>;
  file: (text: string) => string;
  send: (path: string) => Promise<{ status: number; text: string }>;
}> {
  const world = createVolumeWorld();
  const rpc: RpcCaller = {
    call: (method, args, options) => world.call(method, args, options?.signal),
    stream() {
      throw new MeshError('E_NOT_SUPPORTED', 'no streams here');
    },
  };
  const http = createHttpServer({ rpc, agent: {} as AgentFacts, log: silentLog } as Parameters<
    typeof createHttpServer
  >[0]);
  const port = await http.listen({ host: '127.0.0.1', port: 0 });
  const dir = mkdtempSync(join(tmpdir(), 'volumes-'));
  t.teardown(async () => {
    await http.close();
    rmSync(dir, { recursive: true });
  });
  const address = `http://127.0.0.1:${port}`;
  let files = 0;
  return {
    world,
    run: (...argv) => runCli(argv, { NOMAD_ADDR: address }),
    file(text) {
      const path = join(dir, `${files++}.hcl`);
      writeFileSync(path, text);
      return path;
    },
    async send(path) {
      const response = await fetch(`${address}${path}`);
      return { status: response.status, text: await response.text() };
    },
  };
}

t.test('a volume from its file to its end, and nobody ever sees its secrets', async (t) => {
  const { world, run, file, send } = await createStory(t);
  const a = await world.addFakeNode(1, { controller: true });
  a.answers['ClientCSI.ControllerCreate'] = () => ({
    ExternalID: 'vol-7',
    CapacityBytes: 2 ** 30,
    VolumeContext: null,
    SnapshotID: '',
    CloneID: '',
    Topologies: null,
  });
  a.answers['ClientCSI.ControllerAttach'] = () => ({ PublishContext: {} });
  const seen: string[] = [];
  const cli = async (...argv: string[]): Promise<Ran> => {
    const ran = await run(...argv);
    seen.push(ran.out, ran.error);
    return ran;
  };

  t.match(await cli('volume', 'create', file(SPEC)), { code: 0, out: /Created external volume vol-7 with ID db/ });
  t.match(await cli('volume', 'status'), { code: 0, out: /db +database +nfs +true +<none>/ });
  t.match(await cli('plugin', 'status'), { code: 0, out: /nfs +nfs\.csi\.test +1\/1 +1\/1/ });
  t.match(await cli('plugin', 'status', '-verbose', 'nfs'), { out: /Controllers Healthy += 1[\s\S]*create delete/ });

  const { allocId } = await world.place(a);
  await world.claim(a, allocId);
  a.answers['ClientCSI.NodeStats'] = () => ({
    Usage: [
      { Unit: 'BYTES', Total: 20 * 2 ** 20, Used: 2 ** 20, Available: 19 * 2 ** 20 },
      { Unit: 'INODES', Total: 100, Used: 7, Available: 93 },
    ],
    Condition: { Abnormal: true, Message: `its disk fails (${SECRET})` },
  });
  const held = await cli('volume', 'status', 'db');
  t.match(held.out, /Usage\n.*\n\S+ +1\.0 MiB +20 MiB +19 MiB +7\/100 +abnormal: its disk fails/);
  t.match(held.out, /Access Mode += single-node-writer/);
  t.match(held.out, new RegExp(`Claims[\\s\\S]*${allocId.slice(0, 8)} .*write +taken`));
  t.match(await cli('volume', 'delete', 'db'), {
    code: 1,
    error: /409 .*in use and not deleted: it is held by allocation/,
  });
  t.match(await cli('volume', 'deregister', 'db'), { code: 1, error: /is in use/ });
  t.match(await cli('volume', 'detach', 'db', a.node.ID), { code: 1, error: /stop it first/ });
  t.match(await cli('volume', 'detach', '-force', 'db', a.node.ID), { code: 1, error: /only with a reason/ });

  a.answers['ClientCSI.NodeDetach'] = () => {
    throw new MeshError('E_CONFLICT', `target is busy (${SECRET})`);
  };
  await world.end(a, allocId);
  await world.time.advance(30_000);
  t.match(await cli('volume', 'status', 'db'), { out: /unpublishing .*to unmount it: target is busy.*since/ });
  delete a.answers['ClientCSI.NodeDetach'];
  await world.time.advance(70_000);
  t.match(await cli('volume', 'status', 'db'), { out: /Nobody holds it/ });
  t.match(await cli('volume', 'status', '-verbose', 'db'), { out: /Past Claims[\s\S]*node/ });
  t.match(await cli('volume', 'status', '-json', 'db'), { out: /"password": "\[REDACTED\]"/ });
  seen.push((await send('/v1/volume/csi/db')).text, (await send('/v1/volumes?type=csi')).text);

  t.match(await cli('volume', 'delete', 'db'), { code: 0, out: /Successfully deleted volume "db"/ });
  t.match(await cli('volume', 'status', 'db'), { code: 1, error: /No volumes with prefix or ID "db"/ });
  t.notMatch(seen.join('\n'), SECRET);
  t.equal((await send('/v1/volume/csi/db')).status, 404);
});

t.test('snapshots are the plugin’s, and secrets for them travel in no address', async (t) => {
  const { world, run, file } = await createStory(t);
  const a = await world.addFakeNode(1, { controller: true });
  a.answers['ClientCSI.ControllerValidate'] = () => ({ Message: '' });
  const snapshot = {
    ExternalSourceVolumeID: 'vol-7',
    ID: 'snap-1',
    SizeBytes: 2 ** 20,
    // In seconds, as Nomad's command line expects it.
    CreateTime: 1e9,
    IsReady: true,
  };
  a.answers['ClientCSI.ControllerCreateSnapshot'] = () => snapshot;
  a.answers['ClientCSI.ControllerListSnapshots'] = () => ({
    Entries: [{ ...snapshot, SourceVolumeID: '', PluginID: '', Name: '', Secrets: null, Parameters: null }],
    NextToken: '',
  });
  t.match(await run('volume', 'register', file(`${SPEC}\nexternal_id = "vol-7"\n`)), {
    code: 0,
    out: /"db" registered/,
  });
  t.match(await run('volume', 'snapshot', 'create', 'db', 'nightly'), { code: 0, out: /snap-1 +vol-7 +db +1\.0 MiB/ });
  t.match(await run('volume', 'snapshot', 'list', '-plugin', 'nfs', '-secret', 'k=v=w'), { out: /snap-1 +vol-7 +db/ });
  t.match(await run('volume', 'snapshot', 'list', '-plugin', 'nfs', '-verbose'), { out: /2001-09-09T01:46:40Z/ });
  t.match(await run('volume', 'snapshot', 'delete', '-secret', 'k=v', 'nfs', 'snap-1'), { code: 0 });
  t.match(await run('volume', 'snapshot', 'delete', 'nope', 'snap-1'), { code: 1, error: /\(snapshot "snap-1": / });
  const asked = (method: string) => a.asked.find((one) => one.method === `ClientCSI.${method}`)?.args;
  t.match(asked('ControllerCreateSnapshot'), { Name: 'nightly', Secrets: { password: SECRET } });
  t.match(asked('ControllerListSnapshots'), { Secrets: { k: 'v=w' } });
  t.match(asked('ControllerDeleteSnapshot'), { ID: 'snap-1', Secrets: { k: 'v' } });
});

t.test('a host volume is made on the node that fits, shown, and deleted', async (t) => {
  const { world, run, file } = await createStory(t);
  await world.addFakeNode(1, { changes: { NodePool: 'other' } });
  const b = await world.addFakeNode(2, { changes: { NodePool: 'db' } });
  let id = '';
  b.answers['ClientHostVolume.Create'] = (args) => {
    id = args.ID;
    return { HostPath: `/srv/${args.ID}`, CapacityBytes: 0 };
  };
  const spec = 'type = "host"\nname = "data"\nnode_pool = "db"\n';
  const made = await run('volume', 'create', '-detach', file(spec));
  t.match(made, { code: 0, out: /Created host volume data with ID/ });
  t.match(await run('volume', 'status', '-type', 'host'), { out: /data +default +mkdir .* db +pending/ });
  const shown = { data: { Name: 'data', Path: `/srv/${id}`, ReadOnly: false, ID: id } };
  await world.call('Node.Register', { Node: { ...b.node, HostVolumes: shown } });
  t.match(await run('volume', 'status', 'data'), { out: /State += ready[\s\S]*single-node-writer +file-system/ });
  t.match(await run('volume', 'create', file(spec)), { code: 1, error: /no node fits.*has one of this name already/ });
  const same = await run('volume', 'create', '-id', id.slice(0, 8), file(spec));
  t.match(same, { code: 0, out: `Created host volume data with ID ${id}` }, 'the one that -id names');
  t.match(await run('volume', 'create', '-id', 'zz', file(spec)), {
    code: 1,
    error: /No volumes with prefix or ID "zz"/,
  });
  t.match(await run('volume', 'register', '-id', id, file(SPEC)), { code: 1, error: /-id is for host volumes/ });
  t.match(await run('volume', 'create', file(spec.replace('db', 'gone'))), {
    code: 1,
    error: /not in node pool "gone"/,
  });
  const request = { Name: 'data', Type: 'host', Source: 'data', Sticky: true } as VolumeRequest;
  const sticky = mockJob({
    ID: 'st',
    NodePool: 'db',
    TaskGroups: [mockGroup({ Count: 1, Volumes: { data: request } })],
  });
  await world.call('Job.Register', { Job: sticky });
  await world.time.advance(200);
  t.match(await run('volume', 'claim', 'list'), { out: /st\.web\[0\] .* data/ });
  const [held] = world.store.snapshot().allocsByJob('default', 'st');
  t.match(await run('volume', 'claim', 'delete', held?.ID ?? ''), { code: 1, error: /say -yes/ });
  t.match(await run('volume', 'claim', 'delete', '-y', 'x'), {
    code: 1,
    error: /no claim with prefix or id "x" found/,
  });
  t.match(await run('volume', 'claim', 'delete', '-y', held?.ID ?? ''), { code: 0 }, 'by the beginning of its id');
  t.match(await run('volume', 'claim', 'list'), { out: /No task group volume claims/ });
  await world.call('Job.Deregister', { JobID: 'st', Purge: true });
  await world.end(b, held?.ID ?? '');

  await world.place(b, { volume: { Type: 'host', Source: 'data', AccessMode: '', AttachmentMode: '' } });
  t.match(await run('volume', 'delete', '-type', 'host', id), {
    code: 1,
    error: /in use by allocation .* of job "web"/,
  });
  const [alloc] = world.store.snapshot().allocsByJob('default', 'web');
  await world.end(b, alloc?.ID ?? '');
  t.match(await run('volume', 'delete', 'data'), { code: 1, error: `to delete host volume ${id}, say -type host` });
  t.match(await run('volume', 'delete', 'nope'), { code: 1, error: /volume "nope" not found/ });
  t.match(await run('volume', 'delete', '-type', 'host', 'data'), { code: 0 });
  t.match(b.asked.at(-1), { method: 'ClientHostVolume.Delete', args: { ID: id, HostPath: `/srv/${id}` } });
  t.match(await run('volume', 'status', '-type', 'host'), { out: /No dynamic host volumes/ });
  // The node shows it still, as one does that was away meanwhile.
  const again = file(`type = "host"\nname = "data"\nnode_id = "${b.node.ID}"\n`);
  t.match(await run('volume', 'create', again), {
    code: 1,
    error: /that the servers do not know, at \/srv\/.*register it/,
  });
  const own = { id, host_path: `/srv/${id}`, node_id: b.node.ID };
  const found = `type = "host"\nname = "data"\n${Object.entries(own)
    .map(([key, value]) => `${key} = "${value}"\n`)
    .join('')}`;
  t.match(await run('volume', 'register', file(found)), { code: 0 });
  b.answers['ClientHostVolume.Delete'] = ({ Force }) => {
    if (Force) return {};
    throw new MeshError('E_INTERNAL', 'the array is gone');
  };
  t.match(await run('volume', 'delete', '-type', 'host', id), { code: 1, error: /the array is gone/ });
  t.match(await run('volume', 'delete', '-type', 'host', '-force', id), { code: 1, error: /only with a reason/ });
  t.match(await run('volume', 'delete', '-type', 'host', '-force', '-reason', 'it is', id), { code: 0 });
  t.match(b.asked.at(-1), { args: { ID: id, Force: true } }, 'the node hears of it too');
});

t.test('a backup is told as it ended, though others have followed it', async (t) => {
  const { world, run } = await createStory(t);
  const fake = await world.addFakeNode(1);
  fake.answers['ClientHostVolume.Create'] = () => ({ HostPath: '/volumes/1', CapacityBytes: 0 });
  let made = 0;
  fake.answers['ClientVolumeData.Work'] = () => {
    const place = { Core: 'c'.repeat(64), Block: made, Length: made + 1, Digest: 'd' };
    const figures = { Files: ++made, Bytes: 10, NewBytes: 10, StoredBytes: 10, Skipped: 0, Changed: 0, Notes: [] };
    return { State: 'done', Snapshot: { ...place, ...figures } };
  };
  const spec = { Name: 'db', NodeID: fake.node.ID, Backup: { Replicas: 0 } };
  const { Volume } = await world.call('HostVolume.Create', { Volume: spec });
  const HostVolumes = { db: { ID: Volume.ID, Name: 'db', Path: '/volumes/1', ReadOnly: false } };
  await world.call('Node.Register', { Node: { ...fake.node, HostVolumes } });
  await world.time.advance(10);
  const ran = run('volume', 'backup', 'db');
  const archive = async () => (await world.call('VolumeData.Get', { Volume: 'db' })).Archive;
  const hasBegun = async () => {
    const now = await archive();
    return now?.Operation != null || now?.LastOperation != null;
  };
  while (!(await hasBegun())) await setImmediate();
  // Before the command line asks again all of it is over.
  await world.time.advance(5_000);
  for (const _ of [1, 2]) {
    await world.call('VolumeData.Backup', { Volume: 'db' });
    await world.time.advance(5_000);
  }
  const { code, out, error } = await ran;
  t.equal(error, '');
  t.equal(code, 0);
  t.match(out, /Backup \w{8}: 1 files, /, 'it is the one that was asked for');
  t.match(await archive(), { Snapshots: [{ Files: 1 }, { Files: 2 }, { Files: 3 }] });
});

t.test('what a plugin says of its room, and of a volume that it has no more, is shown', async (t) => {
  const { world, run, file, send } = await createStory(t);
  const can = { SupportsGetCapacity: true, SupportsGet: true, SupportsCondition: true };
  const a = await world.addFakeNode(1, {
    controller: true,
    changes: { CSIControllerPlugins: { nfs: controllerInfo(can) } },
  });
  const room = { Available: 3 * 2 ** 30, MaximumVolume: 2 ** 30 };
  a.answers['ClientCSI.ControllerGetCapacity'] = () => room;
  a.answers['ClientCSI.ControllerCreate'] = ({ CapacityMin }) => ({
    ExternalID: 'vol-7',
    CapacityBytes: CapacityMin,
    VolumeContext: null,
    SnapshotID: '',
    CloneID: '',
    Topologies: null,
  });
  t.match(await run('plugin', 'status', 'nfs'), {
    out: /Capacity \(for volumes without parameters\)\nWhere +Available +Largest Volume\neverywhere +3\.0 GiB +1\.0 GiB\n/,
  });
  t.match((await send('/v1/plugin/csi/nfs/capacity')).text, JSON.stringify(room.Available));
  t.match(await run('volume', 'create', file(`${SPEC}\ncapacity_min = "2GiB"\n`)), {
    code: 0,
    out: /Created external volume vol-7/,
    error: /Warning: volume "db" is made, .* room for 1 GiB, and 2 GiB are asked for/,
  });
  const volume = {
    ExternalID: 'vol-7',
    CapacityBytes: 2 ** 30,
    VolumeContext: null,
    CloneID: '',
    SnapshotID: '',
    PublishedExternalNodeIDs: null,
    IsAbnormal: true,
    Status: `one of two disks is gone, ${SECRET}`,
  };
  a.answers['ClientCSI.ControllerGetVolume'] = () => ({ Volume: volume });
  const sick = await run('volume', 'status', 'db');
  t.match(
    sick.out,
    /At The Storage\nCondition += abnormal: one of two disks is gone, \[REDACTED\]\nCapacity += 1\.0 GiB\n/,
  );
  a.answers['ClientCSI.ControllerGetVolume'] = () => ({ Volume: null });
  t.match(await run('volume', 'status', 'db'), { out: /Lost: plugin "nfs" has no volume "vol-7" any more/ });
  t.match(JSON.parse((await send('/v1/volume/csi/db/storage')).text), { State: 'lost' });
  a.answers['ClientCSI.ControllerGetVolume'] = () => {
    throw new MeshError('E_TIMEOUT', 'no answer within 5 s');
  };
  t.match(await run('volume', 'status', 'db'), { code: 0, out: /At The Storage\nNot known: .*no answer within 5 s/ });
});

t.test('a backup that is under way says how far it is, and goes on when nobody watches it', async (t) => {
  const operation = { ID: 'op-1', Kind: 'backup', Step: 'backup', Message: '', Reason: 'manual' };
  const archive = {
    Name: 'db',
    VolumeID: 'v-1',
    Namespace: 'default',
    NodeID: 'n-1',
    Plan: { Cron: '', TimeZone: 'UTC', Replicas: 1, Keep: {} },
    Snapshots: [],
    Copies: {},
    Cores: [],
    Leftovers: [],
    Health: 'there is no backup yet',
    NextTime: 0,
    Operation: operation,
    LastOperation: null,
    Progress: { Phase: 'backing up', Files: 3, Bytes: 2048, BytesTotal: 0, NewBytes: 0, Skipped: 0, Notes: [] },
  };
  let onFollowed = (_: string): void => {};
  const api = createServer((request, response) => {
    const isBegun = request.method === 'PUT';
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(isBegun ? { ArchiveID: 'archive-1', Operation: operation } : archive));
    if (!isBegun) onFollowed(request.url ?? '');
  });
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  t.teardown(() => api.close());
  const env = {
    ...process.env,
    NO_COLOR: '1',
    NOMAD_ADDR: `http://127.0.0.1:${(api.address() as { port: number }).port}`,
  };
  const run = async (...args: string[]) => {
    const child = spawn(process.execPath, [MESHNOMAD, 'volume', 'backup', ...args], { env });
    const said = { out: '', error: '' };
    child.stdout.on('data', (chunk: Buffer) => {
      said.out += chunk;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      said.error += chunk;
    });
    onFollowed = (url) => {
      // Its name may be that of several meanwhile.
      if (url.startsWith('/v1/volume/backup/archive-1')) child.kill('SIGINT');
    };
    const code = await new Promise((resolve) => child.once('close', resolve));
    return { code, ...said };
  };
  t.match(await run('-list', 'db'), { code: 0, out: /Standing += backup under way \(backing up: 3 files, 2\.0 KiB\)/ });
  t.match(await run('db'), {
    code: 130,
    error: /The backup goes on without being watched: see volume backup -list db/,
  });
});

t.test('a move tells what the old node could not remove, and what to do about it', async (t) => {
  const operation = { ID: 'op-1', Kind: 'move', Step: 'done', Message: '', NodeID: 'node-one', TargetName: 'db' };
  const moved = { ...operation, TargetNodeID: 'node-two', TargetVolumeID: 'v-1' };
  const left = { NodeID: 'node-one', VolumeID: 'v-1', HostPath: '/volumes/1', Keep: false };
  let asked = 0;
  const api = createServer((request, response) => {
    response.setHeader('Content-Type', 'application/json');
    if (request.method === 'PUT') {
      response.end(JSON.stringify({ ArchiveID: 'archive-1', Operation: { ...moved, Step: 'backup' } }));
      return;
    }
    // It is told a moment after the end.
    const Message = asked++ > 0 ? { Message: 'EPERM: not permitted' } : {};
    const archive = { ID: 'archive-1', Operation: null, LastOperation: moved, Leftovers: [{ ...left, ...Message }] };
    response.end(JSON.stringify(archive));
  });
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  t.teardown(() => api.close());
  const address = `http://127.0.0.1:${(api.address() as { port: number }).port}`;
  const run = (...args: string[]) => runCli(['volume', 'move', '-address', address, '-node', 'two', ...args, 'db']);
  const told = await run();
  t.equal(told.code, 0, 'the volume is moved');
  t.match(told.error, /\/volumes\/1 on node node-one could not be removed: EPERM: not permitted\. .*chattr -i/);
  asked = 0;
  t.match(JSON.parse((await run('-json')).out), { Operation: { Step: 'done' }, Leftover: { Message: /EPERM/ } });
});
