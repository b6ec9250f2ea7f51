import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { COMMANDS } from '../../lib/cli/commands.js';
import type { CliResult } from './mesh-agent.js';
import { eventually } from './mesh-agent.js';
import type { Machine } from './mesh-machines.js';

/** Commands that ask no server of a mesh, or that must not be run against one that is still needed: why, or what holds them. */
const ELSEWHERE: Record<string, string> = {
  agent: 'runs an agent here',
  autoscaler: 'runs a process that goes on; its questions are those of others',
  'autoscaler agent': 'the same',
  dht: 'runs a node of the DHT here',
  init: 'brings this machine into a mesh',
  join: 'brings this machine into a mesh',
  up: 'brings this machine into a mesh',
  leave: 'takes this machine out of its mesh; refused to operators (test/e2e/mesh.test.ts)',
  recover: 'works on the data directory of a server',
  'operator session': 'is what carries all the others',
  'operator snapshot restore': 'replaces all that the mesh knows (test/e2e/servers-restore.test.ts)',
  'operator root keyring open': 'only after a restore (test/e2e/mesh-lost.test.ts)',
  'mesh reissue': 'needs the recovery code (test/e2e/mesh-lost.test.ts)',
  'plugin csi-local': 'runs a plugin here',
  'plugin csi-nfs': 'runs a plugin here',
};

interface Expected {
  code?: number;
  /** In what it prints, or in what it says went wrong. */
  said?: RegExp;
  /** It has no end: it is interrupted when it has said this. */
  until?: RegExp;
}

interface Walk {
  readonly t: Test;
  readonly laptop: Machine;
  /** The server that answers for what is waited for. */
  readonly server: Machine;
  /** The name of the node that everything runs on. */
  readonly node: string;
  readonly walked: Set<string>;
  file(name: string, text: string): string;
  run(verb: string, args?: readonly string[], expected?: Expected): Promise<CliResult>;
}

/**
 * Runs every command of the table from a laptop that has nothing but an operator's profile; those that this cannot be asked of
 * stand in a list with the reason. A new command that is in neither fails.
 */
export async function walkAllCommands(t: Test, where: Pick<Walk, 'laptop' | 'server' | 'node'>): Promise<void> {
  const walked = new Set<string>(['operator login']);
  const { laptop } = where;
  const walk: Walk = {
    ...where,
    t,
    walked,
    file(name, text) {
      const path = join(laptop.dir, name);
      writeFileSync(path, text);
      return path;
    },
    async run(verb, args = [], { code = 0, said = /(?:)/, until } = {}) {
      walked.add(verb);
      const result = await laptop.operator([...verb.split(' '), ...args], '', until);
      const ok = (until ?? said).test(`${result.out}\n${result.err}`) && (until !== undefined || result.code === code);
      t.ok(ok, `${verb} ${args.join(' ')}`, ok ? {} : { ...result, said: String(said) });
      return result;
    },
  };
  await jobs(walk);
  await allocations(walk);
  await nodes(walk);
  await volumes(walk);
  await variables(walk);
  await theMesh(walk);
  await operators(walk);
  for (const name of Object.keys(COMMANDS)) {
    t.ok(walked.has(name) !== name in ELSEWHERE, `${name} is run, or there is a reason why not`);
  }
  for (const name of [...walked, ...Object.keys(ELSEWHERE)]) t.ok(name in COMMANDS, `${name} is a command`);
}

function desk(node: string, version: number): string {
  return `job "desk" {
  datacenters = ["*"]
  constraint {
    attribute = "\${node.unique.name}"
    value     = "${node}"
  }
  update {
    canary           = 1
    min_healthy_time = "0s"
  }
  group "g" {
    scaling {
      min = 1
      max = 3
    }
    service {
      name     = "desk"
      provider = "nomad"
    }
    task "t" {
      driver = "raw_exec"
      config {
        command = "/bin/sh"
        args    = ["-c", "echo version ${version}; exec sleep 3600"]
      }
      action "hello" {
        command = "/bin/echo"
        args    = ["hello"]
      }
      resources {
        cpu    = 20
        memory = 10
      }
    }
  }
}
`;
}

const parts = (kind: string): string => `job "${kind}" {
  type        = "batch"
  datacenters = ["*"]
  ${kind === 'cron' ? 'periodic {\n    crons = ["0 0 1 1 *"]\n  }' : 'parameterized {\n    payload = "optional"\n  }'}
  group "g" {
    task "t" {
      driver = "raw_exec"
      config {
        command = "/bin/true"
      }
      resources {
        cpu    = 20
        memory = 10
      }
    }
  }
}
`;

interface Deployment {
  ID: string;
  JobVersion: number;
  Status: string;
}

/** The deployment of a version, once it stands so. */
function deploymentOf({ server }: Walk, version: number, status: string): Promise<string> {
  return eventually(`the deployment of version ${version} to be ${status}`, async () => {
    const list = await server.get<Deployment[]>('/v1/job/desk/deployments');
    return list.find((one) => one.JobVersion === version && one.Status === status)?.ID;
  });
}

async function jobs(walk: Walk): Promise<void> {
  const { run, file, node } = walk;
  const paths = [0, 1, 2].map((version) => file(`desk${version}.nomad.hcl`, desk(node, version)));
  const [first, second, third] = paths as [string, string, string];
  await run('job validate', [first], { said: /valid/i });
  await run('validate', [first], { said: /valid/i });
  await run('job plan', [first], { code: 1, said: /desk/ });
  await run('plan', [first], { code: 1, said: /desk/ });
  await run('job run', ['-detach', first]);
  await deploymentOf(walk, 0, 'successful');

  await run('run', ['-detach', second]);
  const canary = await deploymentOf(walk, 1, 'running');
  await run('deployment list', [], { said: new RegExp(canary.slice(0, 8)) });
  await run('deployment status', [canary], { said: /desk/ });
  await run('deployment pause', [canary]);
  await run('deployment resume', ['-detach', canary]);
  await run('deployment unblock', ['-detach', canary], { code: 1, said: /region|blocked/ });
  await healthy(walk, canary);
  await run('deployment promote', ['-detach', canary]);
  await deploymentOf(walk, 1, 'successful');
  await run('job run', ['-detach', third]);
  const failing = await deploymentOf(walk, 2, 'running');
  await run('deployment fail', ['-detach', failing]);
  await deploymentOf(walk, 2, 'failed');
  await run('job start', ['-detach', 'desk'], { code: 1, said: /not been stopped/ });
  await run('job revert', ['-detach', 'desk', '0']);
  const reverted = await deploymentOf(walk, 3, 'running');
  await healthy(walk, reverted);
  await run('job promote', ['-detach', 'desk']);
  await deploymentOf(walk, 3, 'successful');

  for (const verb of ['job allocs', 'job deployments', 'job history', 'job inspect', 'inspect', 'job status', 'status'])
    await run(verb, ['desk'], { said: /desk|[0-9a-f]{8}|Version/ });
  await run('why', ['desk'], { said: /running/ });
  await run('job tag apply', ['-name=good', '-version=3', 'desk']);
  await run('job tag unset', ['-name=good', 'desk']);
  await run('job scale', ['-detach', 'desk', 'g', '2']);
  await run('job scaling-events', ['desk'], { said: /g/ });
  await run('job eval', ['-detach', 'desk']);
  await run('job restart', ['-yes', 'desk'], { said: /restarted|finished/i });
  await run('action', ['-job=desk', 'hello'], { said: /hello/ });
  await run('job action', ['-job=desk', '-i=false', 'hello'], { said: /hello/ });
  await run('service list', [], { said: /desk/ });
  await run('service info', ['desk'], { said: /desk/ });
  const [instance] = await walk.server.get<{ ID: string }[]>('/v1/service/desk');
  await run('service delete', ['desk', instance?.ID ?? 'none']);
  const { out } = await run('scaling policy list', ['-json']);
  const [policy] = JSON.parse(out || '[]') as { ID: string }[];
  await run('scaling policy info', [policy?.ID ?? 'none'], { said: /desk/ });
  await run('autoscaler status', [], { said: /polic|autoscaler/i });

  await run('job run', [file('cron.nomad.hcl', parts('cron'))]);
  await run('job periodic force', ['-detach', 'cron']);
  await run('job run', [file('order.nomad.hcl', parts('order'))]);
  await run('job dispatch', ['-detach', 'order'], { said: /order\/dispatch/ });
  for (const job of ['cron', 'order']) await run('job stop', ['-detach', '-purge', job]);
}

async function healthy({ server }: Walk, deployment: string): Promise<void> {
  await eventually('a canary that is healthy', async () => {
    const { TaskGroups } = await server.get<{ TaskGroups: Record<string, { HealthyAllocs: number }> }>(
      `/v1/deployment/${deployment}`,
    );
    return (TaskGroups['g']?.HealthyAllocs ?? 0) > 0 || undefined;
  });
}

/** One that runs, of the job `desk`. */
function running({ server }: Walk): Promise<string> {
  return eventually('an allocation that runs', async () => {
    const list =
      await server.get<{ ID: string; ClientStatus: string; DesiredStatus: string }[]>('/v1/job/desk/allocations');
    return list.find((one) => one.ClientStatus === 'running' && one.DesiredStatus === 'run')?.ID;
  });
}

async function allocations(walk: Walk): Promise<void> {
  const { run } = walk;
  const alloc = await running(walk);
  await run('alloc status', [alloc], { said: /desk/ });
  await run('alloc-status', [alloc], { said: /desk/ });
  for (const verb of ['alloc logs', 'logs']) await run(verb, [alloc], { said: /version/ });
  for (const verb of ['alloc fs', 'fs']) await run(verb, [alloc, 't'], { said: /local/ });
  for (const verb of ['alloc exec', 'exec'])
    await run(verb, ['-i=false', alloc, '/bin/echo', 'inside'], { said: /inside/ });
  await run('alloc checks', [alloc], { said: /check/i });
  await run('alloc restart', [alloc]);
  await run('alloc signal', ['-s=SIGCONT', alloc]);
  const { out } = await run('eval list', ['-json']);
  const [evaluation] = JSON.parse(out) as { ID: string }[];
  for (const verb of ['eval status', 'eval-status']) await run(verb, [evaluation?.ID ?? 'none'], { said: /complete/ });
  await run('alloc stop', ['-detach', alloc]);
  await run('job stop', ['-detach', '-purge', 'desk']);
  await run('start', ['-detach', 'no-such-job'], { code: 1, said: /no-such-job/ });
  await run('stop', ['-detach', 'no-such-job'], { code: 1, said: /no-such-job/ });
}

async function nodes(walk: Walk): Promise<void> {
  const { run, node, server, laptop } = walk;
  const list = await server.get<{ ID: string; Name: string }[]>('/v1/nodes');
  const id = list.find(({ Name }) => Name === node)?.ID ?? '';
  for (const verb of ['node status', 'node-status']) await run(verb, [id], { said: new RegExp(node) });
  await run('node meta apply', [`-node-id=${id}`, 'seen=laptop']);
  await run('node meta read', [`-node-id=${id}`], { said: /seen/ });
  await run('node meta apply', [`-node-id=${id}`, '-unset=seen']);
  let done = false;
  const monitor = run('monitor', [`-node-id=${id}`], { until: /has changed on this node/ }).then(() => {
    done = true;
  });
  for (let turn = 0; !done; turn++) await laptop.operator(['node', 'meta', 'apply', `-node-id=${id}`, `turn=${turn}`]);
  await monitor;
  await run('node eligibility', ['-disable', id]);
  await run('node eligibility', ['-enable', id]);
  await run('node drain', ['-disable', '-yes', id]);
  await run('node purge', ['ffffffff'], { code: 1, said: /ffffffff/ });
  const pool = join(laptop.dir, 'pool.nomad.hcl');
  await run('node pool init', [pool]);
  const name = /node_pool "([^"]+)"/.exec(readFileSync(pool, 'utf8'))?.[1] ?? '';
  await run('node pool apply', [pool]);
  await run('node pool list', [], { said: new RegExp(name) });
  for (const verb of ['node pool info', 'node pool jobs', 'node pool nodes', 'node pool delete'])
    await run(verb, [name]);
}

async function volumes(walk: Walk): Promise<void> {
  const { run, node, server } = walk;
  const list = await server.get<{ ID: string; Name: string }[]>('/v1/nodes');
  const id = list.find(({ Name }) => Name === node)?.ID ?? '';
  const example = join(walk.laptop.dir, 'volume.hcl');
  await run('volume init', [example]);
  const spec = walk.file('desk-volume.hcl', `name = "desk"\ntype = "host"\nnode_id = "${id}"\n`);
  await run('volume create', [spec], { said: /desk/ });
  await run('volume status', ['desk'], { said: /desk/ });
  await run('volume backup', ['desk']);
  await run('volume restore', ['-as=desk2', `-node=${node}`, 'desk']);
  await run('volume move', ['-node=nas', 'desk2']);
  await run('volume claim list');
  await run('volume claim delete', ['-yes', 'none'], { code: 1, said: /none/ });
  await run('volume detach', ['desk', id], { code: 1, said: /desk/ });
  await run('volume deregister', ['desk'], { code: 1, said: /desk/ });
  await run('volume expand', ['-capacity-min=1GiB', 'desk'], { code: 1, said: /desk/ });
  await run('volume register', [spec], { code: 1, said: /host_path|volume/ });
  await run('volume snapshot create', ['desk'], { code: 1, said: /desk/ });
  await run('volume snapshot delete', ['none', 'none'], { code: 1, said: /none/ });
  await run('volume snapshot list', ['-plugin=none'], { code: 1, said: /none/ });
  await run('plugin status', [], { said: /plugin/i });
  await run('volume backup', ['-forget-all', 'desk']);
  for (const name of ['desk', 'desk2']) await run('volume delete', ['-type=host', name]);
}

async function variables({ run, laptop }: Walk): Promise<void> {
  await run('var init', [join(laptop.dir, 'var.hcl')]);
  await run('var put', ['desk/secret', 'key=value']);
  await run('var get', ['-out=json', 'desk/secret'], { said: /"value"/ });
  await run('var list', [], { said: /desk\/secret/ });
  await run('var purge', ['desk/secret']);
}

async function theMesh({ run, node }: Walk): Promise<void> {
  await run('members', [], { said: new RegExp(node) });
  await run('net', [], { said: new RegExp(node) });
  await run('mesh info', [], { said: /home/ });
  await run('mesh export-recovery', [], { said: /mr1-/ });
  await run('mesh rotate');
  const { out } = await run('invite', ['-json']);
  const { ID } = JSON.parse(out) as { ID: string };
  await run('invite list', [], { said: new RegExp(ID.slice(0, 8)) });
  await run('invite revoke', [ID]);
  await run('approve', ['nobody'], { code: 1, said: /no machine waits/ });
  await run('revoke', ['-yes', 'nobody'], { code: 1, said: /nobody/ });
  await run('server members', [], { said: /nas/ });
  await run('server why', [], { said: /nas/ });
  for (const verb of ['server join', 'server force-leave']) await run(verb, [], { code: 1, said: /meshnomad/ });
  await run('agent-info', [], { said: /nas|raft/ });
  await run('rebalance', ['-dry-run']);
  await run('version', [], { said: /meshnomad/i });
}

async function operators({ run, laptop, server, file }: Walk): Promise<void> {
  await run('operator api', ['/v1/status/leader']);
  await run('operator autopilot get-config', [], { said: /stabili/i });
  await run('operator autopilot health', [], { said: /nas/ });
  await run('operator autopilot set-config', ['-min-quorum=0']);
  await run('operator raft list-peers', [], { said: /nas/ });
  await run('operator raft remove-peer', ['-peer-id=none'], { code: 1, said: /none|peer/ });
  await run('operator raft transfer-leadership', [], { code: 1, said: /voter|server|leader/ });
  await run('operator root keyring rotate');
  await run('operator root keyring list', [], { said: /active/ });
  const keys = await server.get<{ KeyID: string; State: string }[]>('/v1/operator/keyring/keys');
  const active = keys.find(({ State }) => State === 'active');
  await run('operator root keyring remove', [active?.KeyID ?? ''], { code: 1, said: /active/ });
  await run('operator scheduler get-config', [], { said: /binpack/ });
  await run('operator scheduler set-config', ['-scheduler-algorithm=binpack']);
  const snapshot = join(laptop.dir, 'state.snap');
  await run('operator snapshot save', [snapshot]);
  await run('operator snapshot inspect', [snapshot], { said: /index/i });
  await run('system gc');
  await run('system reconcile summaries');
  await run('eval delete', ['-yes', 'none'], { code: 1, said: /none|pause/ });
  const job = join(laptop.dir, 'example.nomad.hcl');
  await run('job init', [job]);
  await run('fmt', [job]);
  await run('config validate', [file('agent.hcl', 'data_dir = "/srv"\nserver {\n  enabled = true\n}\n')], {
    said: /valid/i,
  });
}
