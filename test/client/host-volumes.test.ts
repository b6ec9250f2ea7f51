import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type ClientConfig, defaultClientConfig } from '../../lib/client/config.js';
import { hostVolumePluginsFingerprint } from '../../lib/client/fingerprint/host-volume-plugins.js';
import { HostVolumes } from '../../lib/client/host-volumes/host-volumes.js';
import type { MountEntry } from '../../lib/plugin/sdk/mounts.js';
import { createLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { FakeTimers, until } from './fakes.js';

const CONTEXT = { signal: new AbortController().signal };

const mountOf = (target: string, source: string): MountEntry => ({
  device: '8:1',
  root: '/',
  target,
  options: ['rw'],
  isShared: false,
  fsType: 'ext4',
  source,
});

class World {
  readonly dir = mkdtempSync(join(tmpdir(), 'host-volumes-'));
  readonly used = new Set<string>();
  readonly errors: string[] = [];
  readonly timers = new FakeTimers();
  mounts: MountEntry[] = [mountOf('/', '/dev/sda1')];
  changes = 0;
  config: ClientConfig = {
    ...defaultClientConfig({ stateDir: join(this.dir, 'client'), allocDir: join(this.dir, 'alloc'), nodeName: 'n' }),
    hostVolumesDir: join(this.dir, 'volumes'),
    hostVolumePluginDir: join(this.dir, 'plugins'),
  };

  constructor(t: Test) {
    t.teardown(() => rmSync(this.dir, { recursive: true, force: true }));
  }

  /** As after a start of the agent. */
  async open(): Promise<HostVolumes> {
    const volumes = new HostVolumes({
      config: () => this.config,
      timers: this.timers,
      random: seededRandom(1),
      mounts: async () => this.mounts,
      log: createLog(({ level, message }) => {
        if (level === 'error') this.errors.push(message);
      }),
      isUsed: (path) => this.used.has(path),
      onChange: () => this.changes++,
    });
    await volumes.open();
    return volumes;
  }

  create(volumes: HostVolumes, args: { ID: string; Name: string; PluginID?: string; Parameters?: object }) {
    return volumes.handlers()['ClientHostVolume.Create']?.(
      {
        Namespace: 'default',
        PluginID: 'mkdir',
        NodeID: 'n1',
        NodePool: 'default',
        RequestedCapacityMinBytes: 5,
        RequestedCapacityMaxBytes: 9,
        Parameters: null,
        ...(args as object),
      } as never,
      CONTEXT,
    ) as Promise<{ HostPath: string; CapacityBytes: number }>;
  }

  register(volumes: HostVolumes, ID: string, Name: string, HostPath: string) {
    const args = { ID, Name, Namespace: 'default', NodeID: 'n1', HostPath, CapacityBytes: 0, Parameters: null };
    return volumes.handlers()['ClientHostVolume.Register']?.(args, CONTEXT) as Promise<object>;
  }

  remove(volumes: HostVolumes, ID: string, PluginID = 'mkdir', Force = false) {
    return volumes.handlers()['ClientHostVolume.Delete']?.(
      {
        ID,
        Name: '',
        Namespace: 'default',
        PluginID,
        NodeID: 'n1',
        NodePool: '',
        HostPath: '',
        Parameters: null,
        Force,
      },
      CONTEXT,
    ) as Promise<object>;
  }

  plugin(name: string, script: string): void {
    mkdirSync(this.config.hostVolumePluginDir, { recursive: true });
    const path = join(this.config.hostVolumePluginDir, name);
    writeFileSync(path, `#!/bin/sh\n${script}`);
    chmodSync(path, 0o755);
  }
}

t.test('mkdir makes a directory once, offers it after a restart, and removes it with what is in it', async (t) => {
  const world = new World(t);
  let volumes = await world.open();
  const { HostPath } = await world.create(volumes, { ID: 'v-1', Name: 'data', Parameters: { mode: '0750' } });
  t.equal(HostPath, join(world.dir, 'volumes', 'v-1'));
  t.equal(statSync(HostPath).mode & 0o7777, 0o750);
  writeFileSync(join(HostPath, 'row'), 'kept');
  t.same(await world.create(volumes, { ID: 'v-1', Name: 'data' }), { HostPath, CapacityBytes: 0 });
  volumes = await world.open();
  t.same(volumes.offered, { data: { ID: 'v-1', Name: 'data', Path: HostPath, ReadOnly: false } });
  t.equal(readFileSync(join(HostPath, 'row'), 'utf8'), 'kept');
  world.used.add(HostPath);
  await t.rejects(world.remove(volumes, 'v-1'), { code: 'E_CONFLICT', message: /still uses host volume "data"/ });
  world.used.clear();
  await world.remove(volumes, 'v-1');
  t.notOk(existsSync(HostPath));
  t.same(volumes.offered, {});
  t.same(await world.remove(volumes, 'v-1'), {}, 'an unknown one is passed over');
});

t.test('a directory that has vanished is not offered, says so, and is never made anew', async (t) => {
  const world = new World(t);
  const fixed = join(world.dir, 'static');
  mkdirSync(fixed);
  world.config = { ...world.config, hostVolumes: { s: { ID: '', Name: 's', Path: fixed, ReadOnly: true } } };
  let volumes = await world.open();
  const { HostPath } = await world.create(volumes, { ID: 'v-2', Name: 'data' });
  rmSync(HostPath, { recursive: true });
  rmSync(fixed, { recursive: true });
  const before = world.changes;
  await volumes.look();
  t.same(volumes.offered, {});
  t.ok(world.changes > before);
  t.equal(world.errors.length, 2);
  t.equal(volumes.whyNot('data'), `host volume "data" is not there: ${HostPath} does not exist`);
  t.match(volumes.whyNot('other'), /"other" is not configured/);
  volumes = await world.open();
  t.notOk(existsSync(HostPath), 'an empty directory in its place would look like lost data');
  mkdirSync(fixed);
  await volumes.look();
  t.same(Object.keys(volumes.offered), ['s'], 'it is offered again when it is back');
});

t.test(
  'a directory whose file system is not mounted is not offered, is waited for, and is the volume again afterwards',
  async (t) => {
    const world = new World(t);
    const disk = join(world.dir, 'disk');
    mkdirSync(disk);
    world.config = { ...world.config, hostVolumes: { s: { ID: '', Name: 's', Path: disk, ReadOnly: false } } };
    const [root] = world.mounts as [MountEntry];
    const mounted = [root, mountOf(disk, '/dev/sdb1')];
    world.mounts = mounted;
    let volumes = await world.open();
    t.same(Object.keys(volumes.offered), ['s']);
    // The machine is started again, and the disk comes later than the agent.
    world.mounts = [root];
    volumes = await world.open();
    t.same(volumes.offered, {});
    t.match(
      volumes.whyNot('s'),
      new RegExp(`"s" is not there: /dev/sdb1 is not mounted at ${disk}, where it was; if its data`),
    );
    const told: string[] = [];
    const ending = new AbortController();
    const wait = (signal = ending.signal) => volumes.waitFor(disk, { signal, tell: (why) => told.push(why) });
    const waits = wait();
    await until(() => told.length === 1 && world.timers.delays.length > 0, 'it is told');
    world.mounts = mounted;
    world.timers.advance(2_000);
    t.equal(await waits, null);
    t.same(Object.keys(volumes.offered), ['s'], 'and it is offered again at once');
    world.mounts = [root];
    ending.abort();
    t.match(await wait(), /is not mounted at/, 'who ends waits no longer');
    // Nobody waits for ever: another node may have such a volume.
    let over = '';
    void wait(new AbortController().signal).then((why) => {
      over = why ?? '';
    });
    await until(() => {
      world.timers.advance(2_000);
      return over !== '';
    }, 'the wait to end');
    await volumes.look();
    t.same(volumes.offered, {});
    rmSync(join(world.dir, 'client', 'host-volume-places.json'));
    volumes = await world.open();
    t.same(Object.keys(volumes.offered), ['s'], 'a person has said that this is where the data is now');
  },
);

t.test('a mount that shows another part of the same file system may go: the directory is the same', async (t) => {
  const world = new World(t);
  const path = join(world.dir, 'mine');
  mkdirSync(path);
  const [root] = world.mounts as [MountEntry];
  world.mounts = [root, mountOf(path, root.source)];
  let volumes = await world.open();
  await world.register(volumes, 'r-1', 'mine', path);
  world.mounts = [root];
  volumes = await world.open();
  t.same(Object.keys(volumes.offered), ['mine']);
  // From then on it is known to be there.
  renameSync(path, `${path}.old`);
  mkdirSync(path);
  volumes = await world.open();
  t.same(Object.keys(volumes.offered), ['mine'], 'as after a restore, which puts another directory in its place');
});

t.test('a plugin that cannot bring a volume back after a restart is asked again', async (t) => {
  const world = new World(t);
  const marker = join(world.dir, 'array-is-there');
  writeFileSync(marker, '');
  world.plugin(
    'raid',
    `[ -e ${marker} ] || exit 1; mkdir -p "$DHV_VOLUMES_DIR/r"; echo "{\\"path\\": \\"$DHV_VOLUMES_DIR/r\\"}"`,
  );
  const made = await world.create(await world.open(), { ID: 'v-9', Name: 'r', PluginID: 'raid' });
  rmSync(made.HostPath, { recursive: true });
  rmSync(marker);
  const volumes = await world.open();
  t.same(volumes.offered, {});
  const ending = new AbortController();
  const watching = volumes.watch(ending.signal);
  writeFileSync(marker, '');
  await until(() => {
    world.timers.advance(1_000);
    return volumes.offered['r'] !== undefined;
  }, 'it is back');
  ending.abort();
  await watching;
});

t.test('what a job file or a person asks wrongly is refused in words', async (t) => {
  const world = new World(t);
  world.config = {
    ...world.config,
    hostVolumes: { s: { ID: '', Name: 's', Path: world.dir, ReadOnly: false } },
  };
  const volumes = await world.open();
  const create = (more: object) => world.create(volumes, { ID: 'v', Name: 'x', ...more });
  await t.rejects(create({ PluginID: 'zfs' }), { code: 'E_NOT_FOUND', message: /it has mkdir/ });
  await t.rejects(create({ PluginID: '../../bin/sh' }), { code: 'E_NOT_FOUND' });
  await t.rejects(create({ Parameters: { modee: '1' } }), { message: /did you mean "mode"/ });
  await t.rejects(create({ Parameters: { mode: 'rwx' } }), { message: /must be octal/ });
  await t.rejects(create({ Parameters: { uid: '-7' } }), { message: /must be a number/ });
  await t.rejects(create({ ID: '../../etc' }), { code: 'E_BAD_REQUEST' });
  await t.rejects(create({ Name: 's' }), { message: /named "s" already in its configuration/ });
  await create({});
  await t.rejects(create({ ID: 'w' }), { message: /named "x" already \(v\)/ });
  await t.rejects(world.register(volumes, 'r', 'reg', join(world.dir, 'none')), { code: 'E_NOT_FOUND' });
});

t.test('a registered directory is offered, and only forgotten', async (t) => {
  const world = new World(t);
  const path = join(world.dir, 'mine');
  mkdirSync(path);
  const volumes = await world.open();
  await world.register(volumes, 'r-1', 'mine', path);
  t.equal(volumes.offered['mine']?.Path, path);
  await world.remove(volumes, 'r-1', '');
  t.same(volumes.offered, {});
  t.ok(existsSync(path));
});

t.test("executables speak Nomad's protocol: operation, DHV_* and JSON", async (t) => {
  const world = new World(t);
  world.plugin(
    'shell',
    `env | grep ^DHV_ | sort > "$0.$1.env"
[ "$1" = "$DHV_OPERATION" ] || exit 9
case "$1" in
  fingerprint) echo '{"version": "1.2.3"}' ;;
  create) mkdir -p "$DHV_VOLUMES_DIR/$DHV_VOLUME_ID-own"; echo "{\\"path\\": \\"$DHV_VOLUMES_DIR/$DHV_VOLUME_ID-own\\", \\"bytes\\": 7}" ;;
  delete) rm -rv "$DHV_CREATED_PATH" ;;
esac`,
  );
  world.plugin('broken', `echo '{"error": "the array is full"}'; exit 1`);
  world.plugin('mute', 'echo nonsense');
  world.plugin('torn', `echo '{"path": "/tmp'`);
  world.plugin('liar', `echo '{"path": "/nowhere/at/all"}'`);
  writeFileSync(join(world.config.hostVolumePluginDir, 'notes.txt'), 'no program');
  const facts = await hostVolumePluginsFingerprint.run({ config: world.config, httpAddr: '', version: '' });
  t.same(facts.attributes, {
    'plugins.host_volume.version.mkdir': '0.0.1',
    'plugins.host_volume.version.shell': '1.2.3',
  });
  t.equal(facts.warnings?.length, 4, 'who cannot be used is named');
  let volumes = await world.open();
  const made = await world.create(volumes, { ID: 'v-3', Name: 'own', PluginID: 'shell', Parameters: { a: 'b' } });
  t.same(made, { HostPath: join(world.dir, 'volumes', 'v-3-own'), CapacityBytes: 7 });
  const env = readFileSync(join(world.config.hostVolumePluginDir, 'shell.create.env'), 'utf8').trim().split('\n');
  t.same(env, [
    'DHV_CAPACITY_MAX_BYTES=9',
    'DHV_CAPACITY_MIN_BYTES=5',
    'DHV_NAMESPACE=default',
    'DHV_NODE_ID=n1',
    'DHV_NODE_POOL=default',
    'DHV_OPERATION=create',
    'DHV_PARAMETERS={"a":"b"}',
    `DHV_PLUGIN_DIR=${world.config.hostVolumePluginDir}`,
    `DHV_VOLUMES_DIR=${world.config.hostVolumesDir}`,
    'DHV_VOLUME_ID=v-3',
    'DHV_VOLUME_NAME=own',
  ]);
  rmSync(made.HostPath, { recursive: true });
  volumes = await world.open();
  t.ok(existsSync(made.HostPath), 'after a start the plugin makes whole what it mounted');
  await world.remove(volumes, 'v-3', 'shell');
  t.notOk(existsSync(made.HostPath));
  world.plugin('keeps', `case "$1" in create) echo "{\\"path\\": \\"$DHV_VOLUMES_DIR\\"}" ;; *) exit 1 ;; esac`);
  await world.create(volumes, { ID: 'v-4', Name: 'kept', PluginID: 'keeps' });
  await t.rejects(world.remove(volumes, 'v-4', 'keeps'), { message: /"keeps": delete/ });
  t.ok(volumes.offered['kept'], 'it is offered until its plugin has removed it');
  await world.remove(volumes, 'v-4', 'keeps', true);
  t.same(volumes.offered, {}, 'or until somebody says that it shall be forgotten');
  const fails = (PluginID: string) => world.create(volumes, { ID: 'x', Name: 'x', PluginID });
  await t.rejects(fails('broken'), { message: /"broken": create: the array is full/ });
  await t.rejects(fails('mute'), { message: /it printed no JSON but "nonsense"/ });
  await t.rejects(fails('torn'), { message: /it printed no JSON but "{"path": "\/tmp"/ });
  await t.rejects(fails('liar'), { message: /created \/nowhere\/at\/all, which is not there/ });
});
