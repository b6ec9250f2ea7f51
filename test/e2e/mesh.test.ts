// A mesh as people make it: init on one machine, join on another, work on the second, looked at from a laptop, put out again.
// Real processes over a private DHT on loopback.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { eventually, jobJson } from '../support/mesh-agent.js';
import { Machine } from '../support/mesh-machines.js';
import { patience } from '../support/patience.js';
import { openTestnet } from '../support/testnet.js';

interface Alloc {
  ID: string;
  NodeID: string;
  ClientStatus: string;
}

interface Member {
  Name: string;
  NodeID: string;
  Status: string;
  Health: string;
}

/** From the command to the first screen; generous, for machines that do much else. */
const JOIN_MS_MAX = 3_000;
const REVOKE_MS_MAX = 2_000;

t.test('from init to a job on a second machine', { timeout: 180_000 }, async (t) => {
  const testnet = await openTestnet();
  t.teardown(() => testnet.close());
  const nas = await Machine.make({ testnet, name: 'nas' });
  const berta = await Machine.make({ testnet, name: 'berta' });
  t.teardown(() => Promise.all([nas.dispose(), berta.dispose()]));

  t.match(await nas.start('init', '-name=home'), { Mesh: { Name: 'home', Self: { name: 'nas', role: 'server' } } });
  const founded = await nas.step('founded');
  t.match(founded['RecoveryCode'], /^[a-z0-9-]{30,}$/);
  t.match(await nas.cli(['init', `-data-dir=${nas.dir}/data`]), { code: 1, err: /in the mesh "home" already/ });
  const alone = await nas.cli(['init', '-no-start', '-client', `-data-dir=${nas.dir}/none`]);
  t.match(
    alone,
    { code: 1, err: /first server.*set server \{ enabled = true \}/ },
    'a mesh without a server could do nothing',
  );

  const invite = await nas.invite();
  t.match(invite, /^mn1-[a-z0-9]+$/);
  const started = await berta.start('join', invite);
  t.match(started, { Mesh: { Name: 'home', Self: { name: 'berta', role: 'client' }, Links: [{ Name: 'nas' }] } });
  const joined = await berta.step('joined');
  t.ok(Number(joined['Ms']) < patience(JOIN_MS_MAX), `joined in ${String(joined['Ms'])} ms`);
  const node = await eventually('the node to be ready', async () => {
    const nodes = await nas.get<{ ID: string; Name: string; Status: string }[]>('/v1/nodes');
    return nodes.find(({ Name, Status }) => Name === 'berta' && Status === 'ready');
  });
  const members = await eventually('berta to be alive', async () => {
    const list = await nas.get<Member[]>('/v1/mesh/members');
    return list.some(({ Name, Health }) => Name === 'berta' && Health === 'alive') ? list : undefined;
  });
  t.equal(members.find(({ Name }) => Name === 'berta')?.NodeID, node.ID, 'a node has the id that its key gives');

  await t.test('an invite is used once, and says by whom', async (t) => {
    const again = await Machine.make({ testnet, name: 'again' });
    t.teardown(() => again.dispose());
    const second = await again.start('join', invite).catch(() => again.log);
    t.match(second, /used by berta/);
  });

  const script = 'echo hello from $NOMAD_ALLOC_NAME; exec sleep 3600';
  const job = jobJson('far', {
    config: { command: '/bin/sh', args: ['-c', script] },
    group: { Constraints: [{ LTarget: '${node.unique.name}', RTarget: 'berta', Operand: '=' }] },
  });
  await nas.register(job);
  const alloc = await eventually('the job to run on berta', async () => {
    const allocs = await nas.get<Alloc[]>('/v1/job/far/allocations');
    return allocs.find(({ ClientStatus }) => ClientStatus === 'running');
  });
  t.equal(alloc.NodeID, node.ID);

  await t.test('logs, exec and files go over the mesh', async (t) => {
    await eventually('the log', async () => {
      const { out } = await nas.cli(['alloc', 'logs', alloc.ID]);
      return out === 'hello from far.g[0]\n' ? true : undefined;
    });
    const exec = await nas.cli(['alloc', 'exec', '-i=false', alloc.ID, '/bin/sh', '-c', 'echo in; exit 5']);
    t.same([exec.code, exec.out], [5, 'in\n']);
    t.match(await nas.cli(['alloc', 'fs', alloc.ID, 't']), { code: 0, out: /local/ });
  });

  await t.test('a person reaches everything from a laptop without an agent', async (t) => {
    const laptop = await Machine.make({ testnet, name: 'laptop' });
    t.teardown(() => laptop.dispose());
    const bootstrap = testnet.bootstrap.map(({ host, port }) => `-bootstrap=${host}:${port}`);
    const forMachine = await nas.invite();
    const wrong = await laptop.operator(['operator', 'login', ...bootstrap, '-'], forMachine);
    t.match(wrong, { code: 1, err: /is for a machine \(client\)/ });
    const key = await nas.invite('-role=operator');
    const login = await laptop.operator(['operator', 'login', ...bootstrap, '-name=ada', '-'], key);
    t.match(login, { code: 0, out: /Joined the mesh "home" as ada \(operator\)/ });
    const status = await laptop.operator(['job', 'status', '-json', 'far']);
    t.equal(status.code, 0, status.err);
    t.match(JSON.parse(status.err), { Via: /^via nas, (local network|direct), [\d.]+ ms$/ });
    t.match(await laptop.operator(['alloc', 'logs', alloc.ID]), { code: 0, out: 'hello from far.g[0]\n' });
    const exec = await laptop.operator(['alloc', 'exec', '-i=false', alloc.ID, '/bin/sh', '-c', 'echo in; exit 7']);
    t.same([exec.code, exec.out], [7, 'in\n']);
    const many = await Promise.all(Array.from({ length: 4 }, () => laptop.operator(['job', 'status', 'far'])));
    t.same(
      new Set(many.map(({ code, err }) => `${code} ${err}`)),
      new Set(['0 ']),
      'commands do not disturb each other',
    );
    t.match(await laptop.operator(['members', '-address=mesh']), { code: 0, out: /berta/ });
    t.match(
      await laptop.operator(['leave', '-yes']),
      { code: 1, err: /revoke <your name>/ },
      'no server leaves for it',
    );
    const session = join(laptop.dir, 'profile/meshnomad/mesh/session');
    t.equal(statSync(session).mode & 0o777, 0o600, 'the way into the mesh is kept open, for its owner');
    t.match(await laptop.operator(['operator', 'session']), { code: 1, err: /a session runs already/ });
    laptop.killAll();
    t.match(await laptop.operator(['members']), { code: 0, out: /berta/ }, 'one that was killed is started again');
    const net = await laptop.operator(['net']);
    t.match(net.out, /berta/);
    t.match(net.out, /nas/);
  });

  await t.test('where a session has no place to listen, each command links by itself', async (t) => {
    const deep = await Machine.make({ testnet, name: 'deep'.repeat(25) });
    t.teardown(() => deep.dispose());
    const bootstrap = testnet.bootstrap.map(({ host, port }) => `-bootstrap=${host}:${port}`);
    const login = await deep.operator(['operator', 'login', ...bootstrap, '-'], await nas.invite('-role=operator'));
    t.equal(login.code, 0, login.err);
    t.match(await deep.operator(['members']), { code: 0, out: /berta/ });
  });

  await t.test('the API of a machine that only runs work answers for all of it', async (t) => {
    t.match(await berta.cli(['job', 'status', 'far']), { code: 0, out: /running/ });
    t.match(await berta.cli(['node', 'status', '-self']), { code: 0, out: new RegExp(node.ID.slice(0, 8)) });
    t.match(await berta.cli(['node', 'status']), { code: 0, out: /nas/ });
    t.match(await berta.cli(['server', 'members']), { code: 0, out: /nas\.global/ });
    t.match(await berta.cli(['members']), { code: 0, out: /nas +server \(leader\)/ });
    t.match(await berta.cli(['net']), { code: 0, out: /nas/ });
    t.match(await berta.cli(['alloc', 'logs', alloc.ID]), { code: 0, out: 'hello from far.g[0]\n' });
    const near = jobJson('near', {
      config: { command: '/bin/sh', args: ['-c', script] },
      group: { Constraints: [{ LTarget: '${node.unique.name}', RTarget: 'nas', Operand: '=' }] },
    });
    await berta.register(near);
    const [other] = await eventually('the job to run on nas', async () => {
      const allocs = await berta.get<Alloc[]>('/v1/job/near/allocations');
      return allocs.some(({ ClientStatus }) => ClientStatus === 'running') ? allocs : undefined;
    });
    const exec = await berta.cli(['alloc', 'exec', '-i=false', other?.ID ?? '', '/bin/sh', '-c', 'echo in; exit 9']);
    t.same([exec.code, exec.out], [9, 'in\n']);
    t.match(await berta.cli(['job', 'stop', '-purge', '-detach', 'near']), { code: 0 });
    t.match(await berta.cli(['invite']), { code: 1, err: /nobody changes who is in the mesh.*operator login/ });
    t.match(await berta.cli(['approve', 'nobody']), { code: 1, err: /no machine waits to be let in/ });
  });

  await t.test('an agent that starts again is in its mesh again', async (t) => {
    await berta.end('SIGKILL');
    await berta.start('up');
    await eventually('the log to be reached again', async () => {
      const { out } = await nas.cli(['alloc', 'logs', alloc.ID]);
      return out.startsWith('hello') ? true : undefined;
    });
    const [same] = await nas.get<Alloc[]>('/v1/job/far/allocations');
    t.match(same, { ID: alloc.ID, ClientStatus: 'running' });
  });

  await t.test('who is revoked is out at once', async (t) => {
    await nas.cli(['job', 'stop', '-purge', '-detach', 'far']);
    await eventually('the task to end', async () => {
      const allocs = await nas.get<Alloc[]>('/v1/allocations');
      return allocs.some(({ ClientStatus }) => ClientStatus === 'running') ? undefined : true;
    });
    const said = await nas.cli(['revoke', '-yes', '-reason=sold', 'berta']);
    const began = performance.now();
    t.match(said, { code: 0, out: /berta is out/ });
    await eventually('its links to be closed', async () => {
      const report = await berta.get<{ Links: object[] }>('/v1/agent/net');
      return report.Links.length === 0 ? true : undefined;
    });
    t.ok(performance.now() - began < patience(REVOKE_MS_MAX), `${Math.round(performance.now() - began)} ms`);
    t.match(await berta.cli(['leave', '-yes']), { code: 1 }, 'it has nobody to take leave of');
  });
});
