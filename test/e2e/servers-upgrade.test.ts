// Two versions in one group, in real processes: this one, and one that is newer by a command. What both know goes on; what only the
// newer one knows waits until all have it; and who goes back to the older one is told what to do. The newer program is a copy of this
// one in which the number is raised and one command needs it.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { COMMANDS_VERSION } from '../../lib/state/commands.js';
import type { RaftConfiguration } from '../../lib/structs/operator.js';
import { eventually, jobJson, MESHNOMAD, ROOT } from '../support/mesh-agent.js';
import { Machine } from '../support/mesh-machines.js';
import { patience } from '../support/patience.js';
import { openTestnet } from '../support/testnet.js';

const CHANGE_MS = 60_000;
const NEXT = COMMANDS_VERSION + 1;

function replaceIn(file: string, from: string, to: string): void {
  const text = readFileSync(file, 'utf8');
  if (!text.includes(from)) throw new Error(`${file} does not hold ${from}`);
  writeFileSync(file, text.replace(from, to));
}

/** Makes the program of the next version in a folder; returns what to run. */
function makeNext(folder: string): string {
  for (const room of ['bin', 'lib', 'plugins'])
    cpSync(join(ROOT, 'dist', room), join(folder, 'dist', room), { recursive: true });
  for (const shared of ['node_modules', 'package.json', 'lib']) symlinkSync(join(ROOT, shared), join(folder, shared));
  const state = join(folder, 'dist/lib/state');
  replaceIn(join(state, 'commands.js'), `COMMANDS_VERSION = ${COMMANDS_VERSION}`, `COMMANDS_VERSION = ${NEXT}`);
  const needs = `case 'node-pool-upsert':\n            return ${NEXT};\n        default:`;
  replaceIn(join(state, 'command-versions.js'), 'default:', needs);
  return join(folder, 'dist/bin/meshnomad.js');
}

const pool = (name: string): string => JSON.stringify({ Name: name, Description: 'of the next version' });
const servers = (machine: Machine): Promise<RaftConfiguration> =>
  machine.get<RaftConfiguration>('/v1/operator/raft/configuration?stale');

t.test('two versions in one group', { timeout: 300_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'meshnomad-next-'));
  const testnet = await openTestnet();
  t.teardown(async () => {
    await testnet.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const next = makeNext(folder);
  const config = 'client {\n  enabled = false\n}\nserver {\n  enabled = true\n}';
  const machines: Machine[] = [];
  for (const name of ['a', 'b', 'c']) {
    const machine = await Machine.make({ testnet, name, config });
    t.teardown(() => machine.dispose());
    machines.push(machine);
  }
  const [a, b, c] = machines as [Machine, Machine, Machine];
  await a.start('init', '-name=home');
  for (const other of [b, c]) await other.start('join', await a.invite('-role=server'));
  const settled = (): Promise<true> =>
    eventually(
      'three voters and one leader',
      async () => {
        const said = await Promise.all(machines.map(servers));
        const all = said.every(({ Servers }) => Servers.filter(({ Voter }) => Voter).length === 3);
        const leaders = new Set(said.map(({ Servers }) => Servers.find(({ Leader }) => Leader)?.ID));
        return (all && leaders.size === 1 && !leaders.has(undefined)) || undefined;
      },
      patience(CHANGE_MS),
    );
  await settled();
  let jobs = 0;
  const write = async (): Promise<void> => {
    for (const machine of machines) await machine.register(jobJson(`job-${jobs++}`, { count: 0 }));
  };
  const update = async (machine: Machine, program: string): Promise<void> => {
    await machine.end('SIGTERM');
    machine.program = program;
    await machine.start('up');
    await settled();
  };
  await write();

  for (const machine of [a, b]) {
    await update(machine, next);
    await write();
  }
  for (const leader of [a, c]) {
    // It may lead already.
    await a.cli(['operator', 'raft', 'transfer-leadership', `-peer-id=${leader.name}`]);
    await settled();
    await write();
  }
  await eventually('a newer one to lead', async () => {
    const { Servers } = await servers(a);
    if (Servers.find(({ Leader }) => Leader)?.Node === 'a') return true;
    await a.cli(['operator', 'raft', 'transfer-leadership', '-peer-id=a']);
    return undefined;
  });
  const early = await a.fetch('/v1/node/pools', { method: 'PUT', body: pool('early') });
  t.match(early, {
    status: 501,
    text: /needs commands of version \d+, and server \w{8} of the group knows those up to/,
  });
  await write();

  await update(c, next);
  await eventually('what all know now to be done', async () => {
    const { status } = await c.fetch('/v1/node/pools', { method: 'PUT', body: pool('late') });
    return status === 200 || undefined;
  });
  await write();

  await c.end('SIGTERM');
  c.program = MESHNOMAD;
  await c.start('up').catch(() => {});
  await eventually('the older one to end', () => c.ended || undefined, patience(CHANGE_MS));
  t.equal(await c.end('SIGKILL'), 1);
  t.match(
    c.log,
    new RegExp(`a newer version of meshnomad has written here: .* version ${NEXT}.*Start the newer version again`),
  );
  c.program = next;
  await c.start('up');
  await settled();
  await write();
  const missing = await eventually('all to have everything', async () => {
    const there = await Promise.all(machines.map((machine) => machine.get<unknown[]>('/v1/jobs?stale')));
    return there.every(({ length }) => length === jobs) ? 0 : undefined;
  });
  t.equal(missing, 0, `${jobs} jobs`);
});
