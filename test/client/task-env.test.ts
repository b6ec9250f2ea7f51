import t from 'tap';
import { findOwner } from '../../lib/client/hooks/dir.js';
import { interpolateText, interpolateValue } from '../../lib/client/interpolate.js';
import { buildTaskEnv } from '../../lib/client/task-env.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Node } from '../../lib/structs/node.js';
import { fakeAlloc, fakeGroup, fakeJob, fakeTask } from './fakes.js';

const node = {
  ID: 'n1',
  Name: 'box',
  Datacenter: 'dc1',
  NodeClass: 'big',
  NodePool: 'default',
  Attributes: { 'kernel.name': 'linux' },
  Meta: { rack: 'r1' },
} as unknown as Node;

function env(alloc: Allocation, hostEnv: Record<string, string> = {}) {
  const job = alloc.Job as NonNullable<Allocation['Job']>;
  const group = job.TaskGroups[0] as (typeof job.TaskGroups)[0];
  const task = group.Tasks[0] as (typeof group.Tasks)[0];
  const paths = { allocDir: '/alloc', taskDir: '/local', secretsDir: '/secrets' };
  return buildTaskEnv({
    alloc,
    job,
    group,
    task,
    node,
    region: 'global',
    paths,
    network: null,
    secrets: {},
    cgroupParent: 'nomad.slice',
    hostEnv,
  }).env;
}

t.test('the variables of every task', async (t) => {
  const task = fakeTask({ Meta: { 'a-b': 'task' } });
  const group = fakeGroup([task], { Meta: { x: 'group', 'a-b': 'group' } });
  const alloc = fakeAlloc('n1', fakeJob(group, { Meta: { x: 'job', y: 'job' }, ParentID: 'p' }), {
    Name: 'job.group[3]',
  });
  const web = { ...alloc.AllocatedResources.Tasks['web'], Cpu: { CpuShares: 100, ReservedCores: [4, 0, 1, 2] } };
  const resources = { ...alloc.AllocatedResources, Tasks: { web } } as Allocation['AllocatedResources'];
  t.same(env({ ...alloc, AllocatedResources: resources }), {
    NOMAD_ALLOC_DIR: '/alloc',
    NOMAD_TASK_DIR: '/local',
    NOMAD_SECRETS_DIR: '/secrets',
    NOMAD_ALLOC_ID: alloc.ID,
    NOMAD_SHORT_ALLOC_ID: '11111111',
    NOMAD_ALLOC_NAME: 'job.group[3]',
    NOMAD_ALLOC_INDEX: '3',
    NOMAD_TASK_NAME: 'web',
    NOMAD_GROUP_NAME: 'group',
    NOMAD_JOB_ID: 'job',
    NOMAD_JOB_NAME: 'job',
    NOMAD_JOB_PARENT_ID: 'p',
    NOMAD_DC: 'dc1',
    NOMAD_REGION: 'global',
    NOMAD_NAMESPACE: 'default',
    NOMAD_CPU_LIMIT: '100',
    NOMAD_PARENT_CGROUP: 'nomad.slice',
    NOMAD_CPU_CORES: '0-2,4',
    NOMAD_MEMORY_LIMIT: '64',
    NOMAD_META_a_b: 'task',
    NOMAD_META_A_B: 'task',
    NOMAD_META_x: 'group',
    NOMAD_META_X: 'group',
    NOMAD_META_y: 'job',
    NOMAD_META_Y: 'job',
  });
});

t.test('ports: the inside one where it is mapped, addresses of both families', async (t) => {
  const alloc = fakeAlloc('n1');
  const Ports = [
    { Label: 'my-http', Value: 25000, To: 80, HostIP: '10.0.0.1', IgnoreCollision: false },
    { Label: 'six', Value: 25001, To: 0, HostIP: '::1', IgnoreCollision: false },
  ];
  const Shared = { DiskMB: 0, Networks: null, Ports };
  t.match(env({ ...alloc, AllocatedResources: { ...alloc.AllocatedResources, Shared } }), {
    NOMAD_ADDR_my_http: '10.0.0.1:25000',
    NOMAD_IP_my_http: '10.0.0.1',
    NOMAD_PORT_my_http: '80',
    NOMAD_HOST_ADDR_my_http: '10.0.0.1:25000',
    NOMAD_HOST_IP_my_http: '10.0.0.1',
    NOMAD_HOST_PORT_my_http: '25000',
    NOMAD_ALLOC_PORT_my_http: '80',
    NOMAD_ADDR_six: '[::1]:25001',
    NOMAD_PORT_six: '25001',
  });
});

t.test("the job's own variables come last and may name the others", async (t) => {
  const task = fakeTask({ Env: { PATH: '${PATH}:/x', WHERE: '${NOMAD_DC}/${meta.rack}/${attr.kernel.name}' } });
  const found = env(fakeAlloc('n1', fakeJob(fakeGroup([task]))), { PATH: '/bin', HOME: '/root' });
  t.match(found, { PATH: '/bin:/x', HOME: '/root', WHERE: 'dc1/r1/linux' });
});

t.test('interpolation replaces what is known and leaves the rest', async (t) => {
  const from = { env: { NOMAD_PORT_http: '80', HOME: '/h' }, node: { 'meta.a-b': 'm', 'node.unique.id': 'n' } };
  for (const [text, expected] of [
    ['plain', 'plain'],
    ['${NOMAD_PORT_http}', '80'],
    [':${ NOMAD_PORT_http }/', ':80/'],
    ['${meta.a-b}', 'm'],
    ['${meta["a-b"]}', 'm'],
    ['${env.HOME} ${env["HOME"]}', '/h /h'],
    ['${node.unique.id}', 'n'],
    ['${unknown} $HOME ${', '${unknown} $HOME ${'],
    ['${constructor}${toString}', '${constructor}${toString}'],
  ] as const) {
    t.equal(interpolateText(text, from), expected);
  }
  t.same(interpolateValue({ '${node.unique.id}': ['${env.HOME}', 1, null, { a: true }] }, from), {
    n: ['/h', 1, null, { a: true }],
  });
});

t.test('whose the secrets are', async (t) => {
  const passwd = 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65533:nobody:/:/bin/false\n';
  for (const [user, expected] of [
    ['', null],
    ['nobody', { uid: 65534, gid: 65533 }],
    ['stranger', null],
    ['1000', { uid: 1000, gid: 1000 }],
    ['1000:50', { uid: 1000, gid: 50 }],
  ] as const) {
    t.same(findOwner(user, passwd), expected, user);
  }
});
