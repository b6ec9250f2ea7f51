// Mounts that go away under running tasks: a client with its drivers faked, a plugin that mounts for real.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { listMounts } from '../../lib/plugin/sdk/mounts.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import { World } from '../client/csi-world.js';
import { eventually } from '../support/mesh-agent.js';
import { mayMount, ownMounts } from '../support/own-mounts.js';

ownMounts(import.meta.url);

const isMounted = async (path: string, type: RegExp): Promise<boolean> =>
  (await listMounts()).some(({ target, fsType }) => target === path && type.test(fsType));
const takeOff = (path: string): void => {
  while (spawnSync('umount', ['-l', path]).status === 0);
};

interface Story {
  world: World;
  alloc: Allocation;
  target: string;
  restarts: () => number;
  running: () => boolean;
}

/** A world whose plugin stages with `stage`, and binds that where it publishes. */
async function begin(t: Test, stage: (path: string) => Promise<void>): Promise<Story> {
  const world = new World(t);
  world.hurry = 50;
  const { handlers, calls } = world.plugin;
  const paths = new Set<string>();
  t.teardown(() => paths.forEach(takeOff));
  handlers['Node.NodeStageVolume'] = async ({ stagingTargetPath }) => {
    calls.push('stage');
    paths.add(stagingTargetPath);
    if (!(await isMounted(stagingTargetPath, /./))) await stage(stagingTargetPath);
    return {};
  };
  handlers['Node.NodePublishVolume'] = async ({ stagingTargetPath, targetPath }) => {
    calls.push('publish');
    mkdirSync(targetPath, { recursive: true });
    paths.add(targetPath);
    execFileSync('mount', ['--bind', stagingTargetPath, targetPath]);
    return {};
  };
  // It leaves what is dead where it is: not every plugin cleans up.
  handlers['Node.NodeUnpublishVolume'] = async () => {
    calls.push('unpublish');
    return {};
  };
  handlers['Node.NodeUnstageVolume'] = async () => {
    calls.push('unstage');
    return {};
  };
  await world.serve(t);
  const client = await world.client(t);
  const alloc = world.put(client);
  await eventually('running', () => world.status(alloc.ID) === 'running' || undefined);
  const target = join(world.dir, 'csi/node/p/per-alloc', alloc.ID, 'data/rw-file-system-single-node-writer');
  const restarts = (): number => world.server.reported(alloc.ID)?.TaskStates?.['web']?.Restarts ?? 0;
  return { world, alloc, target, restarts, running: () => world.engine.running().length === 1 };
}

function facts(): void {
  t.test('what is written beside a vanished volume is kept, each time', async (t) => {
    const { world, alloc, target, restarts, running } = await begin(t, async (path) => {
      execFileSync('mount', ['-t', 'tmpfs', 'none', path]);
    });
    const below = join(world.dir, 'below');
    mkdirSync(below);
    t.teardown(() => takeOff(below));
    // Without what is mounted in it: there one can write what a task writes in the moment between.
    execFileSync('mount', ['--bind', dirname(target), below]);
    const hidden = join(below, basename(target));
    for (const n of [1, 2, 3]) {
      await eventually('the task to run', () => (running() && restarts() >= n - 1) || undefined);
      writeFileSync(join(hidden, 'stray'), String(n));
      execFileSync('umount', [target]);
      await eventually('it to be mounted again', async () => (await isMounted(target, /tmpfs/)) || undefined);
    }
    const kept = readdirSync(dirname(target)).filter((name) => name.includes('written-without-volume'));
    t.same(kept.map((name) => readFileSync(join(dirname(target), name, 'stray'), 'utf8')).sort(), ['1', '2', '3']);
    t.match(world.events(alloc.ID), /is not mounted any more, and not by this agent/);
    t.match(world.events(alloc.ID), /kept in .*written-without-volume-3/);
    t.same(readdirSync(hidden), [], 'and nothing lies hidden below the volume');
  });

  if (!hasFuse()) return;
  t.test('a volume whose FUSE process was killed is mounted anew, at its staging path too', async (t) => {
    const source = mkdtempSync(join(tmpdir(), `csi-lookout-${process.pid}-`));
    t.teardown(() => rmSync(source, { recursive: true, force: true }));
    const serving: ChildProcess[] = [];
    t.teardown(() => serving.forEach((child) => void child.kill('SIGKILL')));
    const { world, alloc, target, restarts, running } = await begin(t, async (path) => {
      serving.push(spawn('bindfs', ['-f', source, path], { stdio: 'ignore' }));
      await eventually('it to be served', async () => (await isMounted(path, /fuse/)) || undefined);
    });
    writeFileSync(join(target, 'row'), '1');
    serving[0]?.kill('SIGKILL');
    await eventually('it to be served again', () => serving.length === 2 || undefined);
    await eventually('the task to run again', () => (running() && restarts() >= 1) || undefined);
    t.equal(readFileSync(join(target, 'row'), 'utf8'), '1');
    t.same(world.plugin.calls, ['stage', 'publish', 'unpublish', 'unstage', 'stage', 'publish']);
    t.match(
      world.events(alloc.ID),
      /Volume "data" leads nowhere any more: what served it has ended: it is mounted again/,
    );
    const mounts = (await listMounts()).filter(({ target: at }) => at.startsWith(join(world.dir, 'csi')));
    t.equal(mounts.length, 2, 'nothing dead is left');
  });
}

/** There are machines, and containers, that have none. */
function hasFuse(): boolean {
  try {
    closeSync(openSync('/dev/fuse', 'r+'));
    return true;
  } catch {
    return false;
  }
}

if (mayMount) facts();
else t.test('mounts that go away', { skip: 'needs root' }, async () => {});
