// What the agent's config of plugin "docker" does on a real engine, with a registry that asks for credentials, is slow or hangs.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { decodeFields } from '../../lib/plugin/sdk/config-schema.js';
import type { Driver, DriverOptions } from '../../lib/plugin/sdk/driver.js';
import { type DockerConfig, decodeTask, PLUGIN_FIELDS } from '../../plugins/driver-docker/config.js';
import { Images } from '../../plugins/driver-docker/images.js';
import plugin, { DOCKER } from '../../plugins/driver-docker/index.js';
import { getEngine, importBusybox, type TestEngine } from '../support/dockerd.js';
import { startAgent } from '../support/driver-kill.js';
import { type DriverPlace, decoded, endTasks, makePlace, quietStart, readExec, until } from '../support/driver-task.js';
import { traces } from '../support/leftovers.js';
import { startRegistry, type TestRegistry } from '../support/registry.js';
import { startTlsFront } from '../support/tls-front.js';

const IMAGE = 'meshnomad-plugin-test:1';
const LIMIT_MS = 60_000;

const found = await getEngine();
if ('missing' in found) t.test("the agent's config of docker", { skip: found.missing }, async () => {});
else {
  t.teardown(() => found.stop());
  await importBusybox(found, IMAGE);
  await facts(found);
}

interface Stage {
  place: DriverPlace;
  /** A driver with these keys in the agent's config; closed at the end of the fact. */
  open(config: Record<string, unknown>, given?: Partial<DriverOptions>): Driver<DockerConfig>;
  registry: TestRegistry;
  /** Starts a task that is stopped with the fact; gives its events' texts and what the engine knows of it. */
  start: (
    driver: Driver<DockerConfig>,
    config: Record<string, unknown>,
  ) => Promise<{ id: string; said: string[]; container: Inspected }>;
  /** Brings a task's image alone, as an agent with these keys would. */
  pull(agent: Record<string, unknown>, config: Record<string, unknown>): Promise<void>;
}
type Inspected = Awaited<ReturnType<import('dockerode').Container['inspect']>>;

async function facts(engine: TestEngine): Promise<void> {
  const { default: Docker } = await import('dockerode');
  const docker = new Docker({ socketPath: engine.endpoint.slice('unix://'.length) });
  const isGone = async (what: { inspect(): Promise<unknown> }): Promise<boolean> =>
    what.inspect().then(
      () => false,
      (error) => (error as { statusCode?: number }).statusCode === 404,
    );
  const images: string[] = [];
  t.teardown(async () => {
    for (const name of [...images, IMAGE])
      await docker
        .getImage(name)
        .remove({ force: true })
        .catch(() => {});
  });
  const fact = (name: string, check: (t: Test, stage: Stage) => Promise<void>): void => {
    t.test(name, async (t) => {
      const place = makePlace();
      const registry = await startRegistry();
      const drivers: Driver<DockerConfig>[] = [];
      t.teardown(async () => {
        for (const driver of drivers) await driver.close();
        await endTasks(plugin, { endpoint: engine.endpoint }, place);
        await registry.close();
        images.push(...registry.given.map((image) => `${registry.host}/${image}:1`));
      });
      await check(t, {
        place,
        registry,
        open(config, given = {}) {
          const options = { config: { endpoint: engine.endpoint, ...config }, stateDir: place.stateDir, log: () => {} };
          t.same(plugin.configProblems(options.config), []);
          const driver = plugin.create({ ...options, ...given }) as Driver<DockerConfig>;
          drivers.push(driver);
          return driver;
        },
        async start(driver, config) {
          const task = place.task(decoded(driver, { command: 'sleep', args: ['600'], ...config }));
          const said: string[] = [];
          const onEvent = ({ message }: { message: string }): number => said.push(message);
          const handle = await driver.startTask(task, { ...quietStart(), onEvent });
          const container = await docker.getContainer(String(handle.state['containerId'])).inspect();
          return { id: task.id, said, container };
        },
        async pull(agent, config) {
          const keys = decodeFields(PLUGIN_FIELDS, { endpoint: engine.endpoint, ...agent });
          const asked = decodeTask(config);
          if ('problems' in keys || 'problems' in asked) throw new Error('a key of the test is wrong');
          const images = new Images(keys.config, { kind: DOCKER, endpoint: engine.endpoint });
          await images.ensure(docker, place.task(asked.config), () => {});
        },
      });
    });
  };

  fact('a pull tells how far it is', async (t, { open, registry, start }) => {
    // Long enough for a second word at any rate: one is said every five seconds.
    registry.bytesPerSecond = 180_000;
    const { said } = await start(open({}), { image: `${registry.host}/slow:1` });
    t.match(said, [
      /^Downloading image 127\.0\.0\.1:\d+\/slow:1$/,
      /image pull progress: \d\/1 layers, \d\.\d of \d\.\d MB$/,
    ]);
    const driver = open({});
    const again = await start(driver, { image: `${registry.host}/slow:1` });
    t.same(again.said, [], 'an image that is there is not asked for');
  });

  fact('a registry is shown the credentials of the task, of a file, of a helper', async (t, stage) => {
    const { registry, pull, place } = stage;
    const file = join(place.dir, 'config.json');
    for (const scheme of ['basic', 'bearer'] as const) {
      registry.access = { username: 'me', password: 'se:cret', scheme };
      const image = (name: string): string => `${registry.host}/${scheme}-${name}:1`;
      await t.rejects(pull({}, { image: image('none') }), {
        message: /image "127.*" (is not on this node and )?could not be pulled: .*/,
      });
      const wrong = { username: 'me', password: 'not-it' };
      const failure = await pull({}, { image: image('none'), auth: wrong }).catch(String);
      t.notMatch(failure, /not-it/, 'no password is told');
      t.match(failure, /could not be pulled/);
      await pull({}, { image: image('task'), auth: { username: 'me', password: 'se:cret' } });
      const auth = Buffer.from('me:se:cret').toString('base64');
      writeFileSync(file, JSON.stringify({ auths: { [registry.host]: { auth } } }));
      await pull({ auth: { config: file } }, { image: image('file') });
    }
    const bin = join(place.dir, 'bin');
    mkdirSync(bin);
    const answer = JSON.stringify({ ServerURL: registry.host, Username: 'me', Secret: 'se:cret' });
    const script = `#!/bin/sh\nread registry\n[ "$registry" = ${registry.host} ] || { echo "credentials not found" >&2; exit 1; }\necho '${answer}'\n`;
    writeFileSync(join(bin, 'docker-credential-meshnomadtest'), script);
    chmodSync(join(bin, 'docker-credential-meshnomadtest'), 0o755);
    const path = process.env['PATH'];
    process.env['PATH'] = `${bin}:${path}`;
    t.teardown(() => {
      process.env['PATH'] = path;
    });
    await pull({ auth: { helper: 'meshnomadtest' } }, { image: `${registry.host}/helper:1` });
    writeFileSync(file, JSON.stringify({ credHelpers: { [registry.host]: 'meshnomadtest' } }));
    await pull({ auth: { config: file } }, { image: `${registry.host}/named-helper:1` });
    writeFileSync(file, '{}');
    await pull({ auth: { config: file, helper: 'meshnomadtest' } }, { image: `${registry.host}/both:1` });
    registry.access = null;
    const broken = { auth: { helper: 'meshnomad-no-such' } };
    await t.rejects(pull(broken, { image: `${registry.host}/open:1` }), {
      message: /credentials for 127.*no program docker-credential-meshnomad-no-such/,
    });
    await pull(broken, { image: `${registry.host}/open:1`, auth_soft_fail: true });
  });

  fact('a registry that goes silent or is too slow costs no more time than it may', async (t, { registry, pull }) => {
    registry.bytesPerSecond = 0;
    const idle = { pull_activity_timeout: '1s' };
    await t.rejects(pull(idle, { image: `${registry.host}/silent:1` }), {
      message: /could not be pulled: .*no progress for 1 s/,
      recoverable: true,
    });
    registry.bytesPerSecond = 50_000;
    const slow = { image_pull_timeout: '1s' };
    await t.rejects(pull(slow, { image: `${registry.host}/late:1` }), {
      message: /not done in 1 s/,
      recoverable: true,
    });
    registry.bytesPerSecond = Number.POSITIVE_INFINITY;
    await pull({}, { image: `${registry.host}/late:1` });
    await pull(slow, { image: `${registry.host}/later:1`, image_pull_timeout: '5m' });
  });

  fact(
    'images that were brought are remembered, to be removed some day, unless gc says otherwise',
    async (t, stage) => {
      const { open, registry, start, place } = stage;
      const other = join(place.dir, 'other');
      const keeping = open({ gc: { image: false } }, { stateDir: other });
      const { id } = await start(keeping, { image: `${registry.host}/kept:1` });
      await keeping.destroyTask(id, { force: true });
      t.notOk(existsSync(join(other, 'images.json')));
      await start(open({}), { image: `${registry.host}/going:1` });
      t.match(readFileSync(join(place.stateDir, 'images.json'), 'utf8'), `${registry.host}/going:1`);
    },
  );

  fact('containers that ended, and those that nobody knows', async (t, { open, start }) => {
    const keeping = open({ gc: { container: false } });
    const ended = await start(keeping, { image: IMAGE });
    await keeping.destroyTask(ended.id, { force: true });
    t.match(
      await docker.getContainer(ended.container.Id).inspect(),
      { State: { Running: false } },
      'kept to be looked at',
    );
    await docker.getContainer(ended.container.Id).remove();

    const Labels = { 'meshnomad.state_dir': ended.container.Config.Labels['meshnomad.state_dir'] ?? '' };
    const lost = await docker.createContainer({ Image: IMAGE, Cmd: ['sleep', '600'], Labels });
    await lost.start();
    const log: string[] = [];
    const often = { enabled: true, period: '1s', creation_grace: '0s' };
    const dry = open(
      { gc: { dangling_containers: { ...often, dry_run: true } } },
      { log: (_, message, facts) => log.push(`${message} ${JSON.stringify(facts)}`) },
    );
    await lost.rename({ name: `meshnomad-lost-${process.pid}` });
    // What an agent does once it has taken its tasks up; the dry run is about what comes later.
    t.same(await dry.reapUnknown?.(), [`container meshnomad-lost-${process.pid}`]);
    const later = await docker.createContainer({ Image: IMAGE, Cmd: ['sleep', '600'], Labels });
    await later.start();
    await until('it is told', () => log.some((line) => line.includes('"removed":false')), LIMIT_MS);
    t.notOk(await isGone(later), 'and left alone');
    await dry.close();
    const patient = open({ gc: { dangling_containers: { ...often, creation_grace: '1h' } } });
    const eager = open({ gc: { dangling_containers: often } });
    await later.remove({ force: true });
    await patient.reapUnknown?.();
    await eager.reapUnknown?.();
    await patient.close();
    const last = await docker.createContainer({ Image: IMAGE, Cmd: ['sleep', '600'], Labels });
    await last.start();
    await until('it is removed', () => isGone(last), LIMIT_MS);
  });

  fact('what the agent allows and asks for is in each container', async (t, { open, start }) => {
    const strict = open({});
    const mount = { type: 'volume', source: 'v', target: '/v' };
    const bind = { type: 'bind', source: '/etc', target: '/v' };
    const refusals: [Record<string, unknown>, RegExp][] = [
      [{ privileged: true }, /allow_privileged/],
      [{ pid_mode: 'host' }, /allow_privileged/],
      [{ cap_add: ['net_admin'] }, /net_admin not allowed on this node \(allow_caps/],
      [{ volumes: ['/etc:/host'] }, /volumes \{ enabled = true \}/],
      [{ mount }, /volumes \{ enabled = true \}/],
      [{ mount: bind }, /volumes \{ enabled = true \}/],
      [{ runtime: 'crun' }, /allow_runtimes/],
    ];
    for (const [config, message] of refusals) {
      await t.rejects(
        start(strict, { image: IMAGE, ...config }),
        { message, recoverable: false },
        JSON.stringify(config),
      );
    }
    const generous = open({
      allow_privileged: true,
      allow_caps: ['all'],
      volumes: { enabled: true },
      extra_labels: ['job*', 'node_name'],
      logging: { type: 'json-file', config: { 'max-size': '1m' } },
      pids_limit: 100,
      oom_score_adj: 300,
    });
    const given = await start(generous, {
      image: IMAGE,
      cap_add: ['net_admin'],
      volumes: ['/etc:/host:ro'],
      pid_mode: 'host',
    });
    t.match(given.container, {
      Config: {
        Labels: {
          'com.hashicorp.nomad.job_name': 'example',
          'com.hashicorp.nomad.job_id': 'example',
          'com.hashicorp.nomad.node_name': 'node',
        },
      },
      HostConfig: {
        CapAdd: [/NET_ADMIN/],
        PidMode: 'host',
        PidsLimit: 100,
        OomScoreAdj: 300,
        LogConfig: { Type: 'json-file', Config: { 'max-size': '1m' } },
      },
    });
    t.ok(
      given.container.Mounts.some(({ Source, Destination, RW }) => Source === '/etc' && Destination === '/host' && !RW),
    );
    // A machine may itself have less than all privileges: then the engine says so.
    const free = await start(generous, { image: IMAGE, privileged: true }).catch(String);
    if (typeof free === 'string') t.match(free, /unable to apply caps|operation not permitted/);
    else t.equal(free.container.HostConfig.Privileged, true);
    t.match(await generous.fingerprint(), {
      attributes: { 'driver.docker.privileged.enabled': '1', 'driver.docker.volumes.enabled': '1' },
    });
  });

  fact('what a task exchanges in its directories while another starts leads that one nowhere', async (t, stage) => {
    const { open, place } = stage;
    const driver = open({});
    const outside = join(place.dir, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'f'), 'outside\n');
    const script = 'cat /x/f; cat /made/none /file';
    const config = decoded(driver, {
      image: IMAGE,
      command: 'sh',
      args: ['-c', script],
      volumes: ['../alloc/x:/x', 'local/new/dir:/made'],
      mount: { type: 'bind', source: '../alloc/file', target: '/file', readonly: true },
    });
    const seen = new Set<string>();
    for (let i = 0; i < 6; i++) {
      const task = place.task(config);
      const at = (name: string): string => join(task.sharedDir, name);
      mkdirSync(at('x'));
      writeFileSync(at('x/f'), 'inside\n');
      writeFileSync(at('file'), 'a file\n');
      symlinkSync(outside, at('link'));
      const flips = setInterval(() => {
        try {
          for (const [from, to] of ['x-other', 'link-x', 'other-link'].map((pair) => pair.split('-')))
            renameSync(at(from ?? ''), at(to ?? ''));
        } catch {
          // Something was made at a name just when nothing had it: this round is over.
          clearInterval(flips);
        }
      }, 0);
      try {
        await driver.startTask(task, quietStart());
        await driver.waitTask(task.id);
        seen.add(place.output(task, 'stdout'));
        await driver.destroyTask(task.id, { force: false });
      } catch (error) {
        t.comment(`not started: ${(error as Error).message}`);
      } finally {
        clearInterval(flips);
      }
      t.equal(readFileSync(join(outside, 'f'), 'utf8'), 'outside\n');
    }
    for (const output of seen) t.notMatch(output, /outside/);
    t.same(traces([place.dir]), [], 'no mount is left');
  });

  fact('binds last as long as their container, over the death of its agent', async (t, stage) => {
    const { open, place } = stage;
    const driver = open({});
    const forever = {
      image: IMAGE,
      command: 'sleep',
      args: ['600'],
      volumes: ['local/data:/data', 'local/new/dir:/new'],
    };
    const task = place.task(decoded(driver, forever));
    mkdirSync(join(task.localDir, 'data'));
    writeFileSync(join(task.localDir, 'data/f'), 'kept\n');
    const order = { config: { endpoint: engine.endpoint }, stateDir: place.stateDir, start: [task], recover: [] };
    const agent = await startAgent('driver-docker', order);
    await agent.kill();
    const [handle] = agent.handles;
    if (!handle) throw new Error('no handle');
    const id = String(handle.state['containerId']);
    await docker.getContainer(id).restart({ t: 0 });
    await driver.recoverTask(handle, task);
    t.same(await driver.reapUnknown?.(), []);
    const cat = driver.execTask(task.id, { command: ['cat', '/data/f'], tty: false });
    t.match(await readExec(cat), { stdout: 'kept\n', exitCode: 0 });
    t.ok(existsSync(join(task.localDir, 'new/dir')), 'made where nothing was');
    await driver.destroyTask(task.id, { force: true });
    t.same(traces([place.dir]), []);
    t.equal(readFileSync(join(task.localDir, 'data/f'), 'utf8'), 'kept\n');
    await (await startAgent('driver-docker', order)).kill();
    const next = open({});
    t.equal((await next.reapUnknown?.())?.length, 1);
    t.same(traces([place.dir]), []);
    t.equal(readFileSync(join(task.localDir, 'data/f'), 'utf8'), 'kept\n');
  });

  fact('without a collection of logs the engine keeps them alone', async (t, { open, start, place }) => {
    const driver = open({ disable_log_collection: true });
    const { container } = await start(driver, { image: IMAGE, command: 'echo', args: ['hello'] });
    const logs = docker.getContainer(container.Id).logs({ stdout: true, follow: false });
    t.match((await logs).toString(), /hello/);
    const { readdirSync } = await import('node:fs');
    t.same(
      readdirSync(place.dir, { recursive: true }).filter((name) => String(name).includes('web.stdout')),
      [],
    );
  });

  fact("a group's network is held by the image that the agent names", async (t, { open, registry }) => {
    const allocId = `0a1b2c3d-0000-4000-9000-${String(process.pid).padStart(12, '0')}`;
    const network = async (driver: Driver): Promise<unknown> => driver.createNetwork?.(allocId, { hostname: 'h' });
    const driver = open({ infra_image: `${registry.host}/infra:1`, infra_image_labels: { own: 'label' } });
    t.match(await network(driver), { netnsPath: /^\// });
    const holder = await docker.getContainer(`meshnomad-network-${allocId}`).inspect();
    t.match(holder.Config, { Image: `${registry.host}/infra:1`, Labels: { own: 'label' } });
    await driver.destroyNetwork?.(allocId, {});
    t.ok(await isGone(docker.getContainer(holder.Id)));
    const own = open({});
    const made = (await network(own)) as { netnsPath: string };
    t.match(made, { netnsPath: /^\// });
    const { ino } = statSync(made.netnsPath);
    execFileSync('umount', [made.netnsPath]);
    t.equal(statSync(((await network(own)) as { netnsPath: string }).netnsPath).ino, ino, 'found without its file');
    await own.destroyNetwork?.(allocId, {});
    registry.bytesPerSecond = 0;
    const hurried = open({ infra_image: `${registry.host}/infra-late:1`, infra_image_pull_timeout: '1s' });
    await t.rejects(network(hurried), { message: /not done in 1 s \(infra_image_pull_timeout\)/ });
  });

  fact('an engine elsewhere is spoken to over TLS, with a certificate of ours', async (t, { open, start, place }) => {
    const front = await startTlsFront(engine.endpoint.slice('unix://'.length), place.dir);
    t.teardown(() => front.close());
    const { ca, cert, key } = front;
    const driver = open({ endpoint: front.endpoint, tls: { ca, cert, key } });
    t.match(await driver.fingerprint(), { health: 'healthy' });
    const { id } = await start(driver, { image: IMAGE });
    await driver.destroyTask(id, { force: true });
    const stranger = open({ endpoint: front.endpoint, tls: { ca } });
    t.match(await stranger.fingerprint(), { health: 'unhealthy', healthDescription: /does not answer/ });
    const naive = open({ endpoint: front.endpoint, tls: { cert, key } });
    t.match(await naive.fingerprint(), { health: 'unhealthy', healthDescription: /self.signed|unable to/ });
  });
}
