import { createServer } from 'node:http';
import t from 'tap';
import { decodePodman } from '../../plugins/driver-podman/config.js';
import plugin from '../../plugins/driver-podman/index.js';
import { makePlace, until } from '../support/driver-task.js';

t.test("podman's keys become docker's, and docker's own names for them are not known", async (t) => {
  const decoded = decodePodman({
    image: 'docker://docker.io/library/redis:7',
    apparmor_profile: 'mine',
    devices: ['/dev/a', '/dev/b:/dev/c', '/dev/d:rw', '/dev/e:/dev/f:r'],
    dns: ['10.0.0.1'],
    logging: [{ driver: 'journald', options: [{ tag: 'x' }] }],
    memory_reservation: '100m',
    memory_swap: '1g',
    memory_swappiness: 10,
    selinux_opts: ['type:x'],
    shm_size: '64k',
    tmpfs: ['/run', '/tmp:size=1m'],
    userns: 'keep-id',
    working_dir: '/w',
    pids_limit: 7,
  });
  t.match(decoded, {
    config: {
      devices: [
        { host_path: '/dev/a', container_path: '', cgroup_permissions: 'rwm' },
        { host_path: '/dev/b', container_path: '/dev/c', cgroup_permissions: 'rwm' },
        { host_path: '/dev/d', container_path: '', cgroup_permissions: 'rw' },
        { host_path: '/dev/e', container_path: '/dev/f', cgroup_permissions: 'r' },
      ],
      dns_servers: ['10.0.0.1'],
      logging: { driver: 'journald', config: { tag: 'x' } },
      security_opt: ['apparmor=mine', 'label=type:x'],
      shm_size: 65_536,
      userns_mode: 'keep-id',
      work_dir: '/w',
      pids_limit: 7,
      extra: {
        MemoryReservation: 100 << 20,
        MemorySwap: 2 ** 30,
        MemorySwappiness: 10,
        Tmpfs: { '/run': '', '/tmp': 'size=1m' },
      },
    },
  });
  t.match(
    decodePodman({ image: 'x', logging: { driver: 'nomad' } }),
    { config: { logging: { driver: '', config: {} } } },
    "the task's own log files",
  );
  const refused: [Record<string, unknown>, RegExp][] = [
    [{ userns_mode: 'host' }, /not a known key/],
    [{ shm_size: 'much' }, /must be a size such as "512m", not "much"/],
    [{ socket: 'other' }, /one engine/],
    [{ port_map: [{ a: 1 }] }, /is gone; write port "NAME" \{ to = N \} in the network block/],
    [{ working_dir: 'w' }, /must be an absolute path in the container/],
    [{ ulimit: { nofile: 'many' } }, /must be "soft" or "soft:hard"/],
  ];
  for (const [given, message] of refused)
    t.match(decodePodman({ image: 'x', ...given }), { problems: [{ message }] }, JSON.stringify(given));
});

t.test("the agent's keys are podman's", async (t) => {
  t.same(plugin.configProblems({ socket_path: 'unix:///x', volumes: [{ enabled: true }] }), []);
  t.match(plugin.configProblems({ endpoint: 'unix:///x' }), [{ path: 'endpoint', message: /not a known key/ }]);
  const absent = plugin.create({
    config: { socket_path: 'unix:///tmp/meshnomad-none.sock' },
    stateDir: '/tmp',
    log() {},
  });
  t.match(await absent.fingerprint(), {
    health: 'undetected',
    healthDescription: /no Podman service .* install or start podman/,
  });
});

t.test("a container's end is asked for by Podman's own path, with a pause between its looks", async (t) => {
  const place = makePlace();
  const asked: string[] = [];
  const server = createServer(({ method, url = '' }, answer) => {
    asked.push(`${method} ${url}`);
    if (url.includes('/wait')) return;
    answer.setHeader('Content-Type', 'application/json');
    answer.end('{"State":{"Running":true,"Paused":false}}');
  });
  await new Promise<void>((resolve) => server.listen(`${place.stateDir}.sock`, resolve));
  const config = { socket_path: `unix://${place.stateDir}.sock`, disable_log_collection: true };
  const driver = await plugin.create({ config, stateDir: place.stateDir, log: () => {} });
  t.teardown(async () => {
    await driver.close();
    server.closeAllConnections();
    server.close();
    place.remove();
  });
  const task = place.task({ image: 'busybox:1' });
  await driver.recoverTask({ driver: 'podman', version: 1, taskId: task.id, state: { containerId: 'c1' } }, task);
  const wait = await until('the end is waited for', () => asked.find((one) => one.includes('/wait')));
  t.match(wait, /^POST \/v4\.0\.0\/libpod\/containers\/c1\/wait\?interval=250ms$/);
});
