import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { decodeFields } from '../../lib/plugin/sdk/config-schema.js';
import type { TaskConfig } from '../../lib/plugin/sdk/driver.js';
import { chooseAddress } from '../../plugins/driver-docker/addresses.js';
import { registryOf } from '../../plugins/driver-docker/auth.js';
import { type DockerConfig, decodeTask, PLUGIN_FIELDS } from '../../plugins/driver-docker/config.js';
import { containerOptions } from '../../plugins/driver-docker/container.js';
import { givenDevices } from '../../plugins/driver-docker/devices.js';
import { engineError } from '../../plugins/driver-docker/engine.js';
import { containerFiles } from '../../plugins/driver-docker/files.js';
import { refuseLinksOut } from '../../plugins/driver-docker/host-paths.js';
import { isMoving } from '../../plugins/driver-docker/images.js';
import plugin from '../../plugins/driver-docker/index.js';
import { containerName } from '../../plugins/driver-docker/labels.js';
import { LogRecordReader, sinceText, timeNs } from '../../plugins/driver-docker/log-records.js';

const MACHINE = {
  cores: 4,
  stateDir: '/state/docker',
  devices: { Devices: [], DeviceRequests: [], GroupAdd: [] },
  files: { SecurityOpt: [], Binds: [] },
  runtimes: ['runc'],
  namesEach: false,
  pins: new Map<string, string>(),
};

function config(given: Record<string, unknown>): DockerConfig {
  const result = decodeTask({ image: 'redis:7', ...given });
  if ('problems' in result) throw new Error(result.problems.map(({ message }) => message).join('; '));
  return result.config;
}

function task(given: Record<string, unknown>, more: Partial<TaskConfig<DockerConfig>> = {}): TaskConfig<DockerConfig> {
  return {
    id: 'a/web/1',
    allocId: '0a1b2c3d-1111-4222-8333-444455556666',
    jobId: 'example',
    jobName: 'example',
    namespace: 'default',
    nodeId: 'n',
    nodeName: 'node1',
    taskGroup: 'cache',
    name: 'web',
    user: '',
    config: config(given),
    env: { A: 'b' },
    resources: { cpuMhz: 500, cpuPercent: 10, memoryMb: 256, memoryMaxMb: 0, cores: [] },
    ports: [
      { Label: 'http', Value: 20123, To: 8080, HostIP: '127.0.0.1', IgnoreCollision: false },
      { Label: 'db', Value: 6379, To: 0, HostIP: '10.0.0.1', IgnoreCollision: false },
    ],
    network: null,
    devices: [],
    deviceNodes: [],
    cdiDevices: [],
    mounts: [],
    dns: null,
    allocDir: '/data/a',
    sharedDir: '/data/a/alloc',
    taskDir: '/data/a/web',
    localDir: '/data/a/web/local',
    secretsDir: '/data/a/web/secrets',
    logDir: '/data/a/alloc/logs',
    logMaxFiles: 10,
    logMaxFileSizeBytes: 1e7,
    logsDisabled: false,
    ...more,
  };
}

function options(given: Record<string, unknown> = {}): Parameters<typeof containerOptions>[1] {
  const result = decodeFields(PLUGIN_FIELDS, given);
  if ('problems' in result) throw new Error(result.problems.map(({ message }) => message).join('; '));
  return result.config;
}

t.test('every key of Nomad is known: honoured, or refused by name', async (t) => {
  const honoured = decodeTask({
    image: 'x',
    auth: [{ username: 'u', password: 'p', server_address: 's' }],
    logging: [{ type: 'json-file', config: [{ 'max-size': '1m' }] }],
    mount: [
      { type: 'bind', target: '/a', source: 'local/a', readonly: true, bind_options: [{ propagation: 'rshared' }] },
    ],
    mounts: [{ type: 'tmpfs', target: '/t', tmpfs_options: { size: 1000 } }],
    ulimit: [{ nofile: '1:2' }],
    sysctl: { 'net.core.somaxconn': 16384 },
    labels: [{ a: 'b' }, { c: 'd' }],
    devices: [{ host_path: '/dev/null' }],
    image_pull_timeout: '10m',
    privileged: 'false',
    healthchecks: { disable: true },
  });
  t.match(honoured, {
    config: {
      labels: { a: 'b', c: 'd' },
      image_pull_timeout: 600_000,
      auth: { username: 'u' },
      mount: [{ type: 'bind', bind_options: { propagation: 'rshared' } }],
      sysctl: { 'net.core.somaxconn': '16384' },
    },
  });
  const refused: [Record<string, unknown>, RegExp][] = [
    [{ port_map: [{ http: 80 }] }, /is gone; write port "NAME" \{ to = N \} in the network block/],
    [{ isolation: 'hyperv' }, /Windows only/],
    [{ ulimit: { nofile: 'many' } }, /must be "soft" or "soft:hard"/],
    [{ ulimit: { nofle: '10' } }, /^is no limit; did you mean "nofile"\?/],
    [{ ulimit: { nofile: '20:10' } }, /soft limit above the hard one/],
    [{ ulimit: { nofile: '-1:10' } }, /soft limit above the hard one/],
    [{ cap_add: ['net_amdin'] }, /^is no capability of Linux: "net_amdin"; did you mean "net_admin"\?/],
    [{ volumes: ['/only'] }, /must be "source:target"/],
    [{ entrypoint: 'sh' }, /must be a list, not "sh"/],
    [{ memory_hard_limit: 1 }, /at least 6/],
    [{ netwrk_mode: 'host' }, /did you mean "network_mode"/],
    [{ mount: [{ type: 'nfs', target: '/x' }] }, /must be one of "volume", "bind", "tmpfs"/],
    [{ image: '' }, /is empty/],
    [{ image: 'my image' }, /must be the name of an image, not "my image"/],
    [{ pid_mode: 'hots' }, /must be one of "private", "host", "container:NAME", not "hots"/],
    [{ ipc_mode: 'x' }, /must be one of "none", "private", "shareable", "host"/],
    [{ uts_mode: 'container:x' }, /must be one of "private", "host", not/],
    [{ dns_servers: ['10.0.0.1', 'dns.home'] }, /must be an address, not "dns.home"/],
    [{ extra_hosts: ['db=10.0.0.1'] }, /must be "name:address", not "db=10.0.0.1"/],
    [{ work_dir: 'here' }, /must be an absolute path/],
    [{ mount: [{ type: 'tmpfs', target: 'x' }] }, /must be an absolute path in the container/],
    [{ mount: [{ type: 'bind', target: '/x' }] }, /is missing: the path on the node/],
    [{ mounts: [{ target: '/x', bind_options: { propagation: 'up' } }] }, /must be one of private, rprivate/],
    [{ devices: [{ host_path: '/dev/null', cgroup_permissions: 'rwx' }] }, /must be some of "rwm", not "rwx"/],
  ];
  for (const [given, message] of refused) {
    t.match(decodeTask({ image: 'x', ...given }), { problems: [{ message }] }, JSON.stringify(given));
  }
});

t.test('a container is what the task says', async (t) => {
  const made = containerOptions(
    task({ command: '/bin/x', args: ['-v'], ports: ['http', 'db'], labels: { own: 'label' }, hostname: 'h' }),
    options({ extra_labels: ['job_name', 'task*', '*parent*'] }),
    MACHINE,
  );
  t.match(made, {
    name: 'web-0a1b2c3d-1111-4222-8333-444455556666',
    Image: 'redis:7',
    Cmd: ['/bin/x', '-v'],
    Env: ['A=b'],
    Hostname: 'h',
    Labels: {
      own: 'label',
      'com.hashicorp.nomad.alloc_id': '0a1b2c3d-1111-4222-8333-444455556666',
      'com.hashicorp.nomad.job_name': 'example',
      'com.hashicorp.nomad.task_name': 'web',
      'com.hashicorp.nomad.task_group_name': 'cache',
    },
    HostConfig: {
      Memory: 256 * 1024 * 1024,
      MemorySwap: 256 * 1024 * 1024,
      CpuShares: 500,
      RestartPolicy: { Name: '' },
      CapDrop: ['NET_RAW'],
      Privileged: false,
      NetworkMode: 'default',
    },
  });
  t.same(made.HostConfig?.Binds, ['/data/a/alloc:/alloc', '/data/a/web/local:/local', '/data/a/web/secrets:/secrets']);
  t.same(made.HostConfig?.PortBindings, {
    '8080/tcp': [{ HostIp: '127.0.0.1', HostPort: '20123' }],
    '8080/udp': [{ HostIp: '127.0.0.1', HostPort: '20123' }],
    '6379/tcp': [{ HostIp: '10.0.0.1', HostPort: '6379' }],
    '6379/udp': [{ HostIp: '10.0.0.1', HostPort: '6379' }],
  });
  t.same(Object.keys(made.ExposedPorts ?? {}).length, 4);
  t.notOk('Entrypoint' in made, 'the image keeps its own');
  t.notOk('com.hashicorp.nomad.node_id' in (made.Labels ?? {}));
});

t.test('limits follow the resources', async (t) => {
  const resources = { cpuMhz: 1, cpuPercent: 25, memoryMb: 100, memoryMaxMb: 400, cores: [1, 3] };
  const made = containerOptions(task({ cpu_hard_limit: true }, { resources }), options(), MACHINE).HostConfig;
  t.match(made, {
    Memory: 400 * 1024 * 1024,
    MemoryReservation: 100 * 1024 * 1024,
    CpuShares: 2,
    CpusetCpus: '1,3',
    CpuPeriod: 100_000,
    CpuQuota: 100_000,
  });
  const unlimited = containerOptions(task({}, { resources: { ...resources, memoryMaxMb: -1 } }), options(), MACHINE);
  t.equal(unlimited.HostConfig?.Memory, 0);
});

t.test("with the host's network no port is published", async (t) => {
  const made = containerOptions(task({ network_mode: 'host', ports: ['http'] }), options(), MACHINE);
  t.same(made.HostConfig?.PortBindings, {});
});

t.test('mounts of volumes reach the container with their propagation', async (t) => {
  const mounts = [
    { hostPath: '/srv/v', taskPath: '/v', readOnly: true, propagation: 'host-to-task' as const },
    { hostPath: '/srv/w', taskPath: '/w', readOnly: false, propagation: 'private' as const },
  ];
  const made = containerOptions(task({}, { mounts }), options(), MACHINE);
  t.same(made.HostConfig?.Binds?.slice(3), ['/srv/v:/v:ro,rslave', '/srv/w:/w:rw,rprivate']);
});

t.test(
  'reserved devices reach the container: nodes, their groups, and names for an engine that knows CDI',
  async (t) => {
    const given = {
      deviceNodes: [{ hostPath: '/dev/tty', taskPath: '/dev/ttyZ', permissions: 'rw' }],
      cdiDevices: ['nvidia.com/gpu=0'],
    };
    const { gid } = statSync('/dev/tty');
    const devices = await givenDevices(given, { hasCdi: true });
    const made = containerOptions(
      task({ devices: [{ host_path: '/dev/null' }], group_add: ['audio'] }, given),
      options(),
      { ...MACHINE, devices },
    ).HostConfig;
    t.same(
      made?.Devices?.map(({ PathOnHost, PathInContainer }: Record<string, string>) => [PathOnHost, PathInContainer]),
      [
        ['/dev/null', '/dev/null'],
        ['/dev/tty', '/dev/ttyZ'],
      ],
    );
    t.same(made?.GroupAdd, ['audio', ...(gid === 0 ? [] : [String(gid)])]);
    t.same(made?.DeviceRequests, [{ Driver: 'cdi', DeviceIDs: ['nvidia.com/gpu=0'] }]);
    t.same((await givenDevices(given, { hasCdi: false })).DeviceRequests, [], 'an older engine would refuse it');
  },
);

/** Docker's own volume driver binds any path of the node. */
const LOCAL_ROOT = {
  type: 'volume',
  source: 'root',
  target: '/e',
  volume_options: [{ driver_config: [{ options: { type: 'none', o: 'bind', device: '/' } }] }],
};

t.test('a link that a task has put into its directories leads no container out of them', async (t) => {
  const allocDir = mkdtempSync('/tmp/meshnomad-links-');
  t.teardown(() => rmSync(allocDir, { recursive: true }));
  const taskDir = `${allocDir}/web`;
  mkdirSync(`${taskDir}/local`, { recursive: true });
  symlinkSync('/', `${allocDir}/out`);
  symlinkSync('local', `${taskDir}/in`);
  const check = (given: Record<string, unknown>, more = {}): Promise<void> =>
    refuseLinksOut(task(given, { allocDir, taskDir }), options(more));
  await t.rejects(check({ volumes: ['../out:/x'] }), /volumes: \.\.\/out leads to \/: paths outside/);
  await t.rejects(check({ volumes: ['../out/etc/none:/x'] }), /leads to \/etc\/none/);
  await t.rejects(check({ mount: [{ type: 'bind', source: '../out/etc', target: '/x' }] }), /leads to \/etc/);
  await t.resolves(check({ volumes: ['in/new/dir:/x', 'local:/y', '..data:/z'] }));
  await t.resolves(check({ volumes: ['../out:/x'] }, { volumes: { enabled: true } }));
});

t.test("a container's address is that on its network; the engine's own bridge is not for others", (t) => {
  const v4 = (IPAddress: string, GlobalIPv6Address = '') => ({ IPAddress, GlobalIPv6Address });
  t.same(chooseAddress({ bridge: v4('172.17.0.2') }, false), { ip: '172.17.0.2', advertise: false });
  t.same(chooseAddress({ empty: v4(''), lan: v4('10.0.0.7') }, false), { ip: '10.0.0.7', advertise: true });
  t.same(chooseAddress({ bridge: v4('172.17.0.2', 'fd00::2') }, true), { ip: 'fd00::2', advertise: true });
  t.equal(chooseAddress({ bridge: v4('172.17.0.2') }, true), null);
  t.end();
});

t.test('memory_hard_limit and memory_max: the larger holds', (t) => {
  const limits = (given: Record<string, unknown>, memoryMaxMb: number): unknown => {
    const { resources } = task({});
    const made = containerOptions(task(given, { resources: { ...resources, memoryMaxMb } }), options(), MACHINE);
    return [made.HostConfig?.Memory, made.HostConfig?.MemoryReservation].map((bytes) => bytes && bytes / 2 ** 20);
  };
  t.same(limits({}, 0), [256, undefined]);
  t.same(limits({ memory_hard_limit: 512 }, 0), [512, 256]);
  t.same(limits({ memory_hard_limit: 512 }, 1024), [1024, 256]);
  t.same(limits({}, -1), [0, 256], 'no limit');
  t.end();
});

t.test("a container joins another task's network, and all binds have the agent's SELinux label", (t) => {
  const made = containerOptions(
    task({ network_mode: 'task:side car', volumes: ['local/x:/x', 'local/y:/y:ro'] }),
    options({ volumes: { enabled: true, selinuxlabel: 'z' } }),
    MACHINE,
  );
  t.equal(made.HostConfig?.NetworkMode, 'container:side_car-0a1b2c3d-1111-4222-8333-444455556666');
  t.same(made.HostConfig?.Binds?.slice(2), [
    '/data/a/web/secrets:/secrets:z',
    '/data/a/web/local/x:/x:z',
    '/data/a/web/local/y:/y:ro,z',
  ]);
  t.end();
});

t.test('what the agent does not allow is refused with the key that would', async (t) => {
  const refusals: [Record<string, unknown>, RegExp][] = [
    [{ privileged: true }, /allow_privileged/],
    [{ runtime: 'kata' }, /allow_runtimes/],
    [{ cap_add: ['NET_ADMIN'] }, /cap_add: net_admin not allowed .*allow_caps/],
    [{ volumes: ['/etc:/etc'] }, /volumes: \/etc: paths outside/],
    [{ volumes: ['../../../etc:/etc'] }, /paths outside/],
    [{ mount: [{ type: 'bind', source: '/etc', target: '/e' }] }, /mount: \/etc: paths outside/],
    [{ mount: [{ type: 'volume', source: 'db', target: '/e' }] }, /volume "db": .*volumes \{ enabled = true \}/],
    [{ mounts: [LOCAL_ROOT] }, /volume "root": .*volumes \{ enabled = true \}/],
    [{ ports: ['nope'] }, /no port "nope" \(it has: http, db\)/],
    [{ ipv4_address: '1.2.3.4' }, /need network_mode/],
  ];
  for (const [given, message] of refusals) {
    t.throws(() => containerOptions(task(given), options(), MACHINE), {
      name: 'DriverError',
      message,
      recoverable: false,
    });
  }
  t.throws(() => containerOptions(task({ pids_limit: 20 }), options({ pids_limit: 10 }), MACHINE), /above what/);
  const inside = containerOptions(task({ volumes: ['local/x:/x', '../alloc/y:/y:ro'] }), options(), MACHINE);
  t.same(inside.HostConfig?.Binds?.slice(3), ['/data/a/web/local/x:/x', '/data/a/alloc/y:/y:ro']);
  const allowed = options({ volumes: { enabled: true }, allow_privileged: true, allow_caps: ['all'] });
  const free = containerOptions(
    task({ volumes: ['/etc:/etc'], privileged: true, cap_add: ['net_admin'] }),
    allowed,
    MACHINE,
  );
  t.match(free.HostConfig, { Privileged: true, CapAdd: ['NET_ADMIN'], CapDrop: [] });
});

t.test("host namespaces need the agent's consent, as privileges do", async (t) => {
  for (const key of ['pid_mode', 'ipc_mode', 'uts_mode', 'userns_mode']) {
    t.throws(() => containerOptions(task({ [key]: 'host' }), options(), MACHINE), {
      message: new RegExp(`${key} = "host" needs .*allow_privileged`),
    });
    t.doesNotThrow(() => containerOptions(task({ [key]: 'host' }), options({ allow_privileged: true }), MACHINE));
  }
});

t.test('an agent can name the namespaces that jobs may have, and then they have no others', async (t) => {
  const some = options({ allowed_modes: { pid: ['host'], ipc: ['container:db-*'] } });
  const with_ = (config: Record<string, unknown>) => containerOptions(task(config), some, MACHINE).HostConfig;
  t.match(with_({ pid_mode: 'host', ipc_mode: 'container:db-1' }), { PidMode: 'host', IpcMode: 'container:db-1' });
  for (const refused of [{ ipc_mode: 'host' }, { pid_mode: 'container:x' }, { uts_mode: 'host' }]) {
    t.throws(
      () => with_(refused),
      /needs a node that allows it.*allowed_modes \{ (ipc|pid|uts) = /,
      JSON.stringify(refused),
    );
  }
});

t.test("a group's network is shared, and what belongs to it is refused in the task", async (t) => {
  const network = { mode: 'bridge', netnsPath: '/run/x', ip: '', hostname: 'h', hostsFile: null, resolvFile: null };
  const shared = { ...network, labels: { docker_sandbox_container_id: 'abc' } };
  const made = containerOptions(task({ ports: ['http'], dns_servers: [] }, { network: shared }), options(), MACHINE);
  t.match(made.HostConfig, { NetworkMode: 'container:abc', PortBindings: {} });
  t.notOk('Dns' in (made.HostConfig ?? {}) || 'Hostname' in made, 'the engine refuses both there');
  const own = containerOptions(task({ network_mode: 'host' }, { network: shared }), options(), MACHINE);
  t.equal(own.HostConfig?.NetworkMode, 'host', 'what the job says goes before');
  const foreign = { ...network, labels: {} };
  for (const [given, net, message] of [
    [{}, foreign, /was not made by this driver/],
    [{ hostname: 'x' }, shared, /hostname belongs to the group's network/],
    [{ network_aliases: ['x'] }, shared, /need network_mode/],
  ] as const)
    t.throws(() => containerOptions(task(given, { network: net }), options(), MACHINE), { message });
  const podman = containerOptions(task({}, { network: shared }), options(), { ...MACHINE, namesEach: true });
  t.equal(podman.Hostname, 'h');
});

t.test("NVIDIA's cards come by their CDI names, else by their runtime", async (t) => {
  const devices = [{ Vendor: 'nvidia', Type: 'gpu', Name: 'x', DeviceIDs: ['GPU-1'] }] as TaskConfig['devices'];
  const machine = { ...MACHINE, runtimes: ['nvidia', 'runc'] };
  const runtimeOf = (given: Parameters<typeof containerOptions>[2], more = {}): unknown =>
    containerOptions(task({}, { devices, ...more }), options(), given).HostConfig?.Runtime;
  t.equal(runtimeOf(machine), 'nvidia');
  t.equal(runtimeOf(machine, { devices: [] }), undefined);
  t.equal(runtimeOf(MACHINE), undefined, 'the nodes alone must do');
  const cdi = { ...MACHINE.devices, DeviceRequests: [{ Driver: 'cdi', DeviceIDs: ['nvidia.com/gpu=GPU-1'] }] };
  t.equal(runtimeOf({ ...machine, devices: cdi } as typeof machine), undefined);
});

t.test('a seccomp profile is read, and one that is not there is named', async (t) => {
  const dir = mkdtempSync('/tmp/meshnomad-seccomp-');
  t.teardown(() => rmSync(dir, { recursive: true }));
  writeFileSync(`${dir}/profile.json`, '{ "defaultAction": "SCMP_ACT_ALLOW" }');
  const found = await containerFiles(task({ security_opt: ['no-new-privileges', `seccomp=${dir}/profile.json`] }), dir);
  t.same(found.SecurityOpt, ['no-new-privileges', 'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']);
  await t.rejects(
    containerFiles(task({ security_opt: ['seccomp=/none'] }), dir),
    /profile \/none cannot be used: .*ENOENT/,
  );
  const hostsFile = `${dir}/group`;
  writeFileSync(hostsFile, '10.0.0.2 other\n');
  const network = { mode: 'bridge', netnsPath: '', ip: '', hostname: '', labels: {}, hostsFile, resolvFile: '/r' };
  const names = await containerFiles(task({ extra_hosts: ['db:10.0.0.9', 'v6:fd00::1'] }, { network }), dir);
  const [bind = ''] = names.Binds;
  t.equal(names.Binds[1], '/r:/etc/resolv.conf:ro');
  t.equal(readFileSync(bind.split(':')[0] ?? '', 'utf8'), '10.0.0.2 other\n10.0.0.9 db\nfd00::1 v6\n');
});

t.test('names become what the engine takes', async (t) => {
  t.equal(containerName(task({}, { name: 'a b/ü' })), 'a_b__-0a1b2c3d-1111-4222-8333-444455556666');
});

t.test('a plugin key that does not exist is refused', async (t) => {
  t.same(plugin.configProblems({ endpoint: 'unix:///x', allow_privileged: true }), []);
  t.match(plugin.configProblems({ allow_priviledged: true }), [{ message: /did you mean "allow_privileged"/ }]);
  const refused: [Record<string, unknown>, RegExp][] = [
    [{ endpoint: 'npipe:////./pipe/docker_engine' }, /names a pipe of Windows/],
    [{ endpoint: 'docker.sock' }, /must be such as "unix:/],
    [{ tls: { cert: '/c.pem' } }, /a certificate and its key go together/],
    [{ allow_caps: ['chown', 'net_admn'] }, /is no capability of Linux: "net_admn"/],
    [{ extra_labels: ['jobname'] }, /must be one of job_name, job_id, parent_job_id/],
    [{ volumes: { enabled: true, selinuxlabel: 'x' } }, /must be one of "", "z", "Z"/],
    [{ gc: { dangling_containers: { period: '0s' } } }, /at least 0.1 s/],
    [{ gc: { image_delay: '-5m' } }, /at least 0 s/],
    [{ pull_activity_timeout: '1000h' }, /at most 24 days/],
    [{ pids_limit: -1 }, /between 0/],
    [{ windows_allow_insecure_container_admin: true }, /Windows only/],
  ];
  for (const [config, message] of refused)
    t.match(plugin.configProblems(config), [{ message }], JSON.stringify(config));
  const every = {
    ...{ endpoint: 'tcp://10.0.0.5:2376', tls: { cert: '/c', key: '/k', ca: '/a' }, allow_privileged: true },
    ...{ allow_caps: ['ALL'], allow_runtimes: ['runc'], auth: [{ config: '/c.json', helper: 'ecr-login' }] },
    ...{ disable_log_collection: true, extra_labels: ['*job*', 'task_name'], nvidia_runtime: 'nvidia' },
    gc: [{ image: true, image_delay: '3m', container: true, dangling_containers: [{ enabled: true, dry_run: false }] }],
    ...{ image_pull_timeout: '5m', infra_image: 'pause:3', infra_image_pull_timeout: '5m', pids_limit: 100 },
    logging: [{ type: 'json-file', config: [{ 'max-size': '2m' }] }],
    ...{ oom_score_adj: 1, pull_activity_timeout: '2m', volumes: [{ enabled: true, selinuxlabel: 'z' }] },
  };
  t.same(plugin.configProblems(every), []);
});

t.test('references are read as Docker reads them', async (t) => {
  for (const [image, moving] of [
    ['redis', true],
    ['redis:latest', true],
    ['redis:7', false],
    ['host:5000/redis', true],
    ['host:5000/redis:7', false],
    ['redis@sha256:abc', false],
  ] as const) {
    t.equal(isMoving(image), moving, image);
  }
  t.equal(registryOf('redis:7'), 'https://index.docker.io/v1/');
  t.equal(registryOf('library/redis'), 'https://index.docker.io/v1/');
  t.equal(registryOf('ghcr.io/a/b:1'), 'ghcr.io');
  t.equal(registryOf('localhost/a'), 'localhost');
});

t.test('records are cut right wherever the chunks are', async (t) => {
  const frame = (stream: number, text: string): Buffer => {
    const head = Buffer.alloc(8);
    head[0] = stream;
    head.writeUInt32BE(Buffer.byteLength(text), 4);
    return Buffer.concat([head, Buffer.from(text)]);
  };
  const all = Buffer.concat([
    frame(1, '2026-05-01T10:00:00.000000001Z one\n'),
    frame(2, '2026-05-01T10:00:00.000000002Z zwei ü\n'),
    frame(1, '2026-05-01T10:00:00.000000003Z no end'),
  ]);
  const expected = [
    ['stdout', '2026-05-01T10:00:00.000000001Z', 'one\n'],
    ['stderr', '2026-05-01T10:00:00.000000002Z', 'zwei ü\n'],
    ['stdout', '2026-05-01T10:00:00.000000003Z', 'no end'],
  ];
  for (const size of [1, 2, 7, 50, 1000]) {
    const reader = new LogRecordReader(false);
    const found: string[][] = [];
    for (let at = 0; at < all.length; at += size) {
      const records = reader.read(all.subarray(at, at + size));
      found.push(...records.map(({ stream, time, data }) => [stream, time, data.toString()]));
    }
    t.same(found, expected, `chunks of ${size}`);
  }
  const terminal = new LogRecordReader(true);
  const lines = terminal.read(Buffer.from('2026-05-01T10:00:00Z a b\r\n2026-05-01T10:00:01Z c'));
  t.same(
    lines.map(({ time, data }) => [time, data.toString()]),
    [['2026-05-01T10:00:00Z', 'a b\r\n']],
  );
  t.match(terminal.end(), [{ time: '2026-05-01T10:00:01Z', data: Buffer.from('c') }]);
});

t.test('times keep their nanoseconds', async (t) => {
  const ns = timeNs('2026-05-01T10:00:00.123456789Z');
  t.equal(sinceText(ns), `${Date.parse('2026-05-01T10:00:00Z') / 1000}.123456789`);
  t.equal(timeNs('2026-05-01T12:00:00.123456789+02:00'), ns);
  t.equal(timeNs('2026-05-01T10:00:00.5Z') - timeNs('2026-05-01T10:00:00Z'), 500_000_000n);
});

t.test(
  'what a job names and nobody has does not get better by trying again, though engines take it for a fault of theirs',
  (t) => {
    const place = { kind: { title: 'Docker Engine', name: 'docker' } as never, endpoint: 'unix:///x' };
    const said = (message: string, statusCode = 500) => Object.assign(new Error(message), { statusCode });
    for (const message of [
      'error gathering device information while adding custom device "/dev/nosuch": no such file or directory',
      'container create: stat /dev/nosuch: no such file or directory',
      'error during container init: open /proc/sys/net/ipv4/nosuch: no such file or directory',
      'unable to find user nobody-here: no matching entries in passwd file',
      'Unable to find group nobody-here: no matching entries in group file',
      'runc: exec: "/no/cmd": no such file or directory: OCI runtime attempted to invoke a command that was not found',
    ]) {
      t.match(engineError(said(message), 'x', place), { message: `x: ${message}`, recoverable: false }, message);
    }
    t.match(engineError(said('ttrpc: closed'), 'x', place), { recoverable: true });
    t.match(engineError(said('name is in use', 409), 'x', place), { recoverable: true });
    t.match(engineError(said('bad parameter', 400), 'x', place), { recoverable: false });
    t.end();
  },
);
