// An agent is killed while it makes backups, and while it restores them: what was asked for is done all the same, a volume is seen as
// it was or as it is to be, and nothing is left beside it.
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { VolumeArchiveView } from '../../lib/structs/volume-data.js';
import { eventually, TestAgent } from '../support/mesh-agent.js';

const FILES = 20;
const FILE_BYTES = 1_000_000;
/** Kills of each kind; the first come early in the work, the last late. */
const ROUNDS = 3;

/** The names and contents of a tree, as one text. */
function digestOf(dir: string): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(dir).sort()) hash.update(`${name} `).update(readFileSync(join(dir, name)));
  return hash.digest('hex');
}

function fill(dir: string): void {
  for (let i = 0; i < FILES; i++) writeFileSync(join(dir, `file-${i}`), randomBytes(FILE_BYTES));
}

t.test('backups and restores outlive their agent', { timeout: 300_000 }, async (t) => {
  const agent = await TestAgent.start();
  t.teardown(() => agent.dispose());
  const made = await agent.put('/v1/volume/host/create', { Volume: { Name: 'db', Backup: { Replicas: 0 } } });
  t.equal(made.status, 200, made.text);
  const { ID, HostPath } = (JSON.parse(made.text) as { Volume: { ID: string; HostPath: string } }).Volume;
  const ready = (): Promise<true> =>
    eventually('the volume to be ready', async () => {
      const { State } = await agent.get<{ State: string }>(`/v1/volume/host/${ID}`);
      return State === 'ready' ? true : undefined;
    });
  const operationOf = (text: string): string => (JSON.parse(text) as { Operation: { ID: string } }).Operation.ID;
  const ended = (id: string): Promise<VolumeArchiveView> =>
    eventually('the operation to end', async () => {
      const archive = await agent.get<VolumeArchiveView>('/v1/volume/backup/db');
      return archive.Operation === null && archive.LastOperation?.ID === id ? archive : undefined;
    });
  const killAfter = async (ms: number): Promise<void> => {
    await sleep(ms);
    await agent.kill();
    agent.launch();
    await agent.ready();
  };
  await ready();

  for (let round = 0; round < ROUNDS; round++) {
    fill(HostPath);
    const { status, text } = await agent.put('/v1/volume/backup/db', {});
    t.equal(status, 200, text);
    await killAfter(50 + 250 * round);
    const archive = await ended(operationOf(text));
    t.match(archive.LastOperation, { Step: 'done', Message: '' });
    t.equal(archive.Snapshots.length, round + 1);
  }
  const whole = digestOf(HostPath);

  for (let round = 0; round < ROUNDS; round++) {
    await ready();
    rmSync(join(HostPath, 'file-0'));
    writeFileSync(join(HostPath, 'later'), String(round));
    const before = digestOf(HostPath);
    const { status, text } = await agent.put('/v1/volume/backup/db/restore', { Force: true });
    t.equal(status, 200, text);
    await sleep(20 + 200 * round);
    await agent.kill();
    // Between two renames there may be nothing for a moment; never a part.
    const names = readdirSync(join(HostPath, '..'));
    const seen = names.includes(ID) ? digestOf(HostPath) : whole;
    t.ok(seen === before || seen === whole, 'it is as it was, or as it is to be');
    agent.launch();
    await agent.ready();
    t.match((await ended(operationOf(text))).LastOperation, { Step: 'done', Message: '' });
    t.equal(digestOf(HostPath), whole);
    t.same(readdirSync(join(HostPath, '..')), [ID], 'nothing is left beside it');
  }
  mkdirSync(join(HostPath, 'more'));
  const again = await agent.cli(['volume', 'backup', 'db']);
  t.match(again, { code: 0, out: /Backup \w+: 20 files/ }, again.err);
});
