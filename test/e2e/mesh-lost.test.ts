// The only server burns down: from a snapshot, the sealed root and the recovery code everything is there again, on another
// machine, and the client finds it by itself. Real processes over a private DHT on loopback.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { eventually, jobJson } from '../support/mesh-agent.js';
import { Machine } from '../support/mesh-machines.js';
import { openTestnet } from '../support/testnet.js';

interface Alloc {
  ID: string;
  ClientStatus: string;
}

t.test('a mesh outlives its only server', { timeout: 240_000 }, async (t) => {
  const testnet = await openTestnet();
  const folder = mkdtempSync(join(tmpdir(), 'meshnomad-lost-'));
  t.teardown(async () => {
    rmSync(folder, { recursive: true, force: true });
    await testnet.close();
  });
  const machine = async (name: string): Promise<Machine> => {
    const made = await Machine.make({ testnet, name });
    t.teardown(() => made.dispose());
    return made;
  };
  const nas = await machine('nas');
  await nas.start('init', '-name=home');
  const { RecoveryCode: FirstCode } = await nas.step('founded');
  const pi = await machine('pi');
  await pi.start('join', await nas.invite());

  const job = jobJson('web', {
    config: { command: '/bin/sh', args: ['-c', 'exec sleep 3600'] },
    group: { Constraints: [{ LTarget: '${node.unique.name}', RTarget: 'pi', Operand: '=' }] },
  });
  const put = await fetch(`${nas.address}/v1/jobs`, { method: 'PUT', body: JSON.stringify(job) });
  t.equal(put.status, 200, await put.text());
  const running = (on: Machine): Promise<Alloc> =>
    eventually('the job to run', async () => {
      const allocs = await on.get<Alloc[]>('/v1/job/web/allocations');
      return allocs.find(({ ClientStatus }) => ClientStatus === 'running');
    });
  const alloc = await running(nas);
  t.match(await nas.cli(['var', 'put', 'nomad/jobs/web', 'password=correct horse']), { code: 0 });
  const keysOf = async (machine: Machine): Promise<string[]> => {
    const { keys } = await machine.get<{ keys: { kid: string }[] }>('/.well-known/jwks.json');
    return keys.map(({ kid }) => kid);
  };
  const signers = await keysOf(nas);

  const newCode = ['mesh', 'export-recovery', '-new-code'];
  t.match(await nas.cli(newCode, 'wrong\n'), { code: 1, err: /no recovery code/ });
  const renewed = await nas.cli(newCode, `${FirstCode}\n`);
  t.match(renewed, { code: 0, out: /^mr1-/, err: /shown this once/ });
  const RecoveryCode = /^ {4}(\S+)$/m.exec(renewed.err)?.[1] ?? '';
  t.match(await nas.cli(newCode, `${FirstCode}\n`), { code: 1 }, 'the first one is worth nothing from then on');
  const sealed = await nas.cli(['mesh', 'export-recovery']);
  t.equal(sealed.out, renewed.out);
  writeFileSync(join(folder, 'sealed'), sealed.out);
  const snapshot = join(folder, 'backup.snap');
  t.match(await nas.cli(['operator', 'snapshot', 'save', snapshot]), { code: 0 });
  await nas.dispose();

  const box = await machine('box');
  const recover = ['init', '-no-start', '-node=box', `-data-dir=${box.dir}/data`, `-recover=${join(folder, 'sealed')}`];
  t.match(await box.cli(recover, 'wrong\n'), { code: 1, err: /no recovery code/ });
  t.match(await box.cli(recover, String(FirstCode)), { code: 1 }, 'nor does it open the new copy');
  t.match(await box.cli(recover, RecoveryCode), { code: 0, out: /again, with box as its first server/ });
  await box.start('up');
  const restored = await box.cli(['operator', 'snapshot', 'restore', '-yes', snapshot]);
  t.equal(restored.code, 0, restored.err);
  t.teardown(() => {
    if (!t.passing()) t.comment(`${box.log.slice(-4000)}\n----\n${pi.log.slice(-4000)}`);
  });
  const get = ['var', 'get', '-out=json', 'nomad/jobs/web'];
  t.match(await box.cli(get), { code: 1, err: /operator root keyring open/ }, 'it is said what opens the secrets');
  const open = ['operator', 'root', 'keyring', 'open'];
  t.match(await box.cli(open, 'wrong\n'), { code: 1, err: /recovery code/ });
  t.match(await box.cli(open, `${RecoveryCode}\n`), { code: 0, out: /keys are open/ });
  t.match(await box.cli(get), { code: 0, out: /"correct horse"/ });
  const present = await keysOf(box);
  t.ok(
    signers.length > 0 && signers.every((kid) => present.includes(kid)),
    'identities that were signed before are good',
  );
  const members = await eventually('the client to be back', async () => {
    const list = await box.get<{ Name: string; Health: string; Status: string }[]>('/v1/mesh/members');
    return list.some(({ Name, Health }) => Name === 'pi' && Health === 'alive') ? list : undefined;
  });
  t.match(
    members.find(({ Name }) => Name === 'box'),
    { Status: 'admitted' },
  );
  t.equal((await running(box)).ID, alloc.ID, 'its work never stopped');
  await eventually('its node to be heard of', async () => {
    const nodes = await box.get<{ Name: string; Status: string }[]>('/v1/nodes');
    return nodes.some(({ Name, Status }) => Name === 'pi' && Status === 'ready') ? true : undefined;
  });

  t.match(await box.cli(['mesh', 'reissue'], `${FirstCode}\n`), { code: 1 });
  t.match(await box.cli(['mesh', 'reissue'], `${RecoveryCode}\n`), { code: 0, out: /Certified by the root: .*box/ });

  // Tasks outlive their agent: nothing is to be left behind.
  await box.cli(['job', 'stop', '-purge', '-detach', 'web']);
  await eventually('the task to end', async () => {
    const allocs = await box.get<Alloc[]>('/v1/allocations');
    return allocs.some(({ ClientStatus }) => ClientStatus === 'running') ? undefined : true;
  });
});
