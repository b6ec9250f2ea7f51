// The agent as a service of a real systemd: installed by the command, restarted and killed under its tasks, and removed again.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { missingForSystemd, startSystemd } from '../support/live-systemd.js';
import { eventually, freePort, jobJson, MESHNOMAD, ROOT } from '../support/mesh-agent.js';
import { Machine } from '../support/mesh-machines.js';
import { missingForNix, nixosMachine, unitText } from '../support/nixos.js';
import { openTestnet } from '../support/testnet.js';

const skip = missingForSystemd() ?? false;
const UNIT = 'meshnomad.service';

interface Alloc {
  ID: string;
  ClientStatus: string;
  TaskStates: Record<string, { Restarts: number }>;
}

t.test('-install-service makes a service that keeps every flag, and whose tasks outlive it', { skip }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'meshnomad-service-'));
  let systemd = await startSystemd(dir);
  t.teardown(async () => {
    await systemd.close();
    rmSync(dir, { recursive: true, force: true });
  });
  mkdirSync(join(dir, 'config'));
  const lines = [
    'ports {\n  rpc = 0\n}',
    'mesh {\n  mdns = false\n}',
    'plugin "raw_exec" {\n  config {\n    enabled = true\n  }\n}',
  ];
  writeFileSync(join(dir, 'config/agent.hcl'), lines.join('\n'));
  const port = await freePort();
  const log = join(dir, 'agent.log');
  const get = async <T>(path: string): Promise<T> =>
    (await (await fetch(`http://127.0.0.1:${port}${path}`)).json()) as T;
  const mainPid = async (): Promise<string> =>
    (await systemd.run('systemctl', 'show', '-P', 'MainPID', UNIT)).out.trim();
  const healthy = (what: string): Promise<true> =>
    eventually(what, async () => (await fetch(`http://127.0.0.1:${port}/v1/agent/health`)).ok || undefined);

  const flags = [
    // A relative path: the service does not start where the person stands.
    '-config=config',
    `-data-dir=${dir}/data`,
    `-http-port=${port}`,
    `-log-file=${log}`,
    '-bootstrap=none',
    '-node=svc',
    '-meta=rack=r 1%',
  ];
  const said = await systemd.run('env', '-C', dir, process.execPath, MESHNOMAD, 'init', '-install-service', ...flags);
  t.match(said, { code: 0, out: /systemctl disable --now meshnomad.service/ }, said.err);
  await healthy('the service to be healthy');
  t.match(await get('/v1/agent/self'), { config: { NodeName: 'svc', Client: { Meta: { rack: 'r 1%' } } } });
  t.equal((await systemd.run('systemctl', 'is-enabled', UNIT)).out, 'enabled\n');

  await fetch(`http://127.0.0.1:${port}/v1/jobs`, {
    method: 'PUT',
    body: JSON.stringify(
      jobJson('work', { config: { command: '/bin/sh', args: ['-c', `echo $$ >> ${dir}/pids; exec sleep 3600`] } }),
    ),
  });
  const running = (): Promise<Alloc> =>
    eventually('the job to run', async () => {
      const allocs = await get<Alloc[]>('/v1/job/work/allocations');
      return allocs.find(({ ClientStatus }) => ClientStatus === 'running');
    });
  const alloc = await running();

  for (const [what, command] of [
    ['a restart', ['restart', UNIT]],
    ['a kill', ['kill', '--kill-whom=main', '-s', 'SIGKILL', UNIT]],
  ] as const) {
    const before = await mainPid();
    t.equal((await systemd.run('systemctl', ...command)).code, 0);
    await eventually(`another process after ${what}`, async () => {
      const now = await mainPid();
      return (now !== before && now !== '0') || undefined;
    });
    await healthy(`health after ${what}`);
    t.equal((await running()).ID, alloc.ID);
  }
  t.equal(readFileSync(join(dir, 'pids'), 'utf8').trim().split('\n').length, 1, 'the task was never started again');

  t.equal((await systemd.run('systemctl', 'reload', UNIT)).code, 0);
  await eventually(
    'the configuration to be read again',
    () => /configuration reloaded/.test(readFileSync(log, 'utf8')) || undefined,
  );

  // The power fails, and comes back.
  await systemd.close();
  systemd = await startSystemd(dir);
  await healthy('the service to start with the machine');
  t.equal((await running()).ID, alloc.ID);
  await eventually(
    'the work to be started again',
    () => readFileSync(join(dir, 'pids'), 'utf8').trim().split('\n').length === 2 || undefined,
  );

  const undo = /to undo it: +(.*)$/m.exec(said.out)?.[1] ?? '';
  t.match(await systemd.run('sh', '-c', undo), { code: 0 });
  await t.rejects(get('/v1/agent/self'), 'the agent has ended');
  const pid = readFileSync(join(dir, 'pids'), 'utf8').trim().split('\n').at(-1);
  t.equal((await systemd.run('kill', '-0', pid ?? '')).code, 0, 'and its task goes on');
});

t.test(
  'the unit of the NixOS module: a user of its own, an invite that is a credential, needed once',
  { skip: skip || (missingForNix() ?? false) },
  async (t) => {
    const testnet = await openTestnet();
    const nas = await Machine.make({ testnet, name: 'nas' });
    const dir = mkdtempSync(join(tmpdir(), 'meshnomad-service-'));
    await nas.start('init');
    const systemd = await startSystemd(dir);
    t.teardown(async () => {
      await systemd.close();
      rmSync(dir, { recursive: true, force: true });
      await nas.dispose();
      await testnet.close();
    });
    const port = await freePort();
    const { service, settings, failed } = await nixosMachine(
      `joinKeyFile = "${dir}/key"; settings = { name = "attic"; ports.http = ${port}; mesh = { bootstrap = [ ]; mdns = false; }; };`,
    );
    t.same(failed, []);
    const key = join(dir, 'key');
    writeFileSync(key, await nas.invite(), { mode: 0o600 });
    writeFileSync(join(dir, 'settings'), JSON.stringify(settings));
    // The store of that machine; what lies in /tmp and in home directories is not to be seen from the service.
    const config = { ...service?.serviceConfig, BindReadOnlyPaths: `${ROOT}:/srv ${process.execPath}:/run/node` };
    writeFileSync(join(dir, 'units', UNIT), unitText(config).replaceAll('/generated/', '/run/meshnomad/'));
    const store = [
      'mkdir -p /run/meshnomad/bin && cp "$0/settings" /run/meshnomad/meshnomad.json && cd /run/meshnomad/bin',
      `printf '#!/bin/sh\\nexec /run/node /srv/dist/bin/meshnomad.js "$@"\\n' > meshnomad`,
      'chmod -R a+rX /run/meshnomad && chmod +x meshnomad && systemctl daemon-reload && systemctl start "$1"',
    ];
    t.match(await systemd.run('sh', '-c', store.join(' && '), dir, UNIT), { code: 0 });
    const alive = (): Promise<true> =>
      eventually('the machine to be a member', async () => {
        const members = await nas.get<{ Name: string; Health: string }[]>('/v1/mesh/members');
        return members.some(({ Name, Health }) => Name === 'attic' && Health === 'alive') || undefined;
      });
    await alive();
    const user = (await systemd.run('stat', '-c', '%u', '/var/lib/meshnomad/identity.key')).out.trim();
    t.ok(Number(user) >= 61_184 && Number(user) <= 65_519, `its key belongs to ${user}, a user that systemd made up`);
    rmSync(key);
    t.match(await systemd.run('systemctl', 'stop', UNIT), { code: 0 });
    t.match(await systemd.run('systemctl', 'start', UNIT), { code: 0 }, 'without the file of the invite');
    await eventually('its API', async () => (await fetch(`http://127.0.0.1:${port}/v1/agent/self`)).ok || undefined);
    await alive();
  },
);
