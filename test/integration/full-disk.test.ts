// The disk of an agent runs full: it lives on and says so, removes what has ended, keeps its tasks over a kill -9, and goes on when there
// is room again. A file system of its own on a loop device, so that it is a real ENOSPC.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { LoopDisk } from '../support/loop-disk.js';
import { type AllocStub, allocsOf, eventually, jobJson, TestAgent } from '../support/mesh-agent.js';

const skip = process.getuid?.() === 0 ? false : 'only root can mount a file system';
const MIB = 1 << 20;

const shell = (script: string, more: object = {}): Parameters<typeof jobJson>[1] => ({
  config: { command: '/bin/sh', args: ['-c', script] },
  group: { ReschedulePolicy: { Attempts: 0, Unlimited: false }, EphemeralDisk: { SizeMB: 10 } },
  ...more,
});

t.test('an agent on a disk that runs full', { skip, timeout: 300_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'meshnomad-full-disk-'));
  const disk = new LoopDisk(folder, join(folder, 'data'), 128);
  t.teardown(() => {
    disk.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const agent = await TestAgent.start({
    dataDir: join(folder, 'data'),
    config: 'client {\n  gc_interval = "500ms"\n  gc_disk_usage_threshold = 70\n}',
  });
  t.teardown(async () => {
    disk.free();
    await agent.dispose().catch(() => {});
  });
  const pid = agent.pid;
  const said = (text: RegExp): Promise<void> =>
    eventually(`the log to say ${text}`, () => {
      if (text.test(agent.log)) return true;
      throw new Error(agent.log.slice(-2_000));
    }).then(() => {});
  const dirOf = (alloc: AllocStub): string => join(folder, 'data/data/alloc', alloc.ID);

  await agent.register(jobJson('keep', shell('echo $$ > local/pid; exec sleep 3600')));
  const [keep] = (await allocsOf(agent, 'keep', 'running', 1)) as [AllocStub];
  await agent.register(jobJson('old', shell('head -c 20000000 /dev/zero > local/big', { type: 'batch' })));
  const [old] = (await allocsOf(agent, 'old', 'complete', 1)) as [AllocStub];
  t.ok(existsSync(join(dirOf(old), 't/local/big')), 'what has ended stays while there is room');

  await agent.register(
    jobJson('hog', shell(`head -c ${30 * MIB} /dev/zero > local/big; touch local/done; exec sleep 3600`)),
  );
  const [hog] = (await allocsOf(agent, 'hog', 'running', 1)) as [AllocStub];
  await eventually('the hog to have eaten', () => existsSync(join(dirOf(hog), 't/local/done')) || undefined);
  disk.fill();
  await said(/removing ended allocations: count=1 why="the disk of \S+ is \d+ % full/);
  await eventually('what has ended to be removed', () => !existsSync(dirOf(old)) || undefined);
  disk.fill();
  await said(
    new RegExp(
      `the disk is too full, and no ended allocation is left to be removed: .*largest="hog\\.g\\[0\\] \\(${hog.ID}\\) 3\\d MB`,
    ),
  );
  await eventually('the task to hear that it uses more than it asked for', async () => {
    const { TaskStates } = await agent.get<AllocStub>(`/v1/allocation/${hog.ID}`);
    const told = TaskStates?.['t']?.Events.find(({ Type }) => Type === 'Disk Resources Exceeded');
    return told && /^Its group uses 3\d MB of disk, and asked for 10 MB/.test(told.DisplayMessage) ? true : undefined;
  });

  // What is asked of it now may be refused; that is an answer too.
  t.throws(() => writeFileSync(join(folder, 'data/x'), Buffer.alloc(MIB)), { code: 'ENOSPC' });
  const { status } = await agent.put('/v1/jobs', jobJson('late', shell('true', { type: 'batch' })));
  t.ok(status === 200 || status >= 500, `an answer: ${status}`);
  t.equal((await agent.get<AllocStub>(`/v1/allocation/${keep.ID}`)).ClientStatus, 'running');
  t.equal(agent.pid, pid);
  t.ok((await fetch(`${agent.address}/v1/agent/health`)).ok, 'and it is well');

  await agent.kill();
  agent.log = '';
  agent.launch();
  await agent.ready();
  await said(/some of the room that was kept for a start is used now/);
  await said(/task is attached again/);
  t.same(
    (await allocsOf(agent, 'keep', 'running', 1)).map(({ ID, TaskStates }) => [ID, TaskStates?.['t']?.Restarts]),
    [[keep.ID, 0]],
    'the same task, although not a byte could be written',
  );

  await said(/the disk is too full/);
  disk.free();
  await said(/the disk of allocations has room again/);
  await agent.register(jobJson('after', shell('echo it goes on', { type: 'batch' })));
  const [after] = (await allocsOf(agent, 'after', 'complete', 1)) as [AllocStub];
  t.equal((await agent.cli(['alloc', 'logs', after.ID])).out, 'it goes on\n');
});
