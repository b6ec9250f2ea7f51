// The ways to switch machines on and off, against the real ipmitool with a simulated controller, the real ssh and sshd, and HTTP
// services that answer as plugs and Redfish controllers do.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { makeKeyPair } from '../../lib/plugin/go-plugin/certificate.js';
import type { ScalerRpc } from '../../lib/plugin/sdk/autoscaler.js';
import type { NodeListStub } from '../../lib/structs/rpc.js';
import { readConfig } from '../../plugins/target-power/config.js';
import { cutCurrent, putToSleep, wakeUp } from '../../plugins/target-power/methods/index.js';
import type { Machine } from '../../plugins/target-power/methods/machine.js';
import { eventually, freePort } from '../support/mesh-agent.js';

const MACHINE: Machine = {
  node: { ID: 'node-1', Name: "tower's", Address: '127.0.0.1' } as NodeListStub,
  mac: '02:00:00:00:00:01',
  meta: { bmc: '127.0.0.1' },
  neighbours: [],
};
const rpc: ScalerRpc = { call: () => Promise.reject(new Error('asks nobody')) };
const world = { rpc, signal: new AbortController().signal };
const SECRET = 's3cret-bmc';

const has = (...programs: string[]): string | false => {
  const missing = programs.find((program) => {
    try {
      execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
      return false;
    } catch {
      return true;
    }
  });
  return missing === undefined ? false : `${missing} is not installed`;
};

function folder(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'power-methods-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function secretFile(dir: string, text = SECRET): string {
  const path = join(dir, 'password');
  writeFileSync(path, `${text}\n`, { mode: 0o600 });
  return path;
}

function program(dir: string, name: string, source: string): string {
  const path = join(dir, name);
  writeFileSync(path, source);
  chmodSync(path, 0o755);
  return path;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

const power = (config: Record<string, string>) => readConfig({ node_pool: 'gpu', ...config });

/** A port of UDP that is free now. */
async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

t.test(
  'IPMI: on and off through ipmitool, its password in a file alone',
  { skip: has('ipmitool', 'ipmi_sim'), timeout: 240_000 },
  async (t) => {
    const dir = folder(t);
    const port = await freeUdpPort();
    const chassis = program(
      dir,
      'chassis',
      `#!/bin/sh\necho "$@" >>${dir}/done\n[ "$2" = get ] && echo power:0\nexit 0\n`,
    );
    writeFileSync(
      join(dir, 'lan.conf'),
      `name "tower"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 ${port}
    priv_limit admin
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "${chassis}"
  user 2 true "admin" "${SECRET}" admin 10 none md2 md5 straight
`,
    );
    writeFileSync(
      join(dir, 'sim.emu'),
      'mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\nmc_enable 0x20\n',
    );
    const args = ['-c', join(dir, 'lan.conf'), '-f', join(dir, 'sim.emu'), '-s', join(dir, 'state'), '-n'];
    const simulator = spawn('ipmi_sim', args, { stdio: 'ignore' });
    t.teardown(() => end(simulator));
    const real = execFileSync('sh', ['-c', 'command -v ipmitool']).toString().trim();
    program(dir, 'ipmitool', `#!/bin/sh\necho "$@" >>${dir}/argv\nexec ${real} "$@"\n`);
    const { PATH } = process.env;
    process.env['PATH'] = `${dir}:${PATH}`;
    t.teardown(() => {
      process.env['PATH'] = PATH;
    });
    const done = (): string => (existsSync(join(dir, 'done')) ? readFileSync(join(dir, 'done'), 'utf8') : '');
    const config = {
      method: 'ipmi',
      bmc_address: `{meta.bmc}:${port}`,
      bmc_user: 'admin',
      bmc_password_file: secretFile(dir),
      bmc_cipher_suite: '3',
    };
    await eventually('the controller answers', async () => {
      await wakeUp(MACHINE, power(config), world);
      return true;
    });
    t.equal(await wakeUp(MACHINE, power(config), world), '127.0.0.1');
    t.match(done(), /set power 1/);
    await putToSleep(MACHINE, power(config), world);
    t.match(done(), /set shutdown 1/, 'it is shut down in order, not cut off');
    t.notMatch(readFileSync(join(dir, 'argv'), 'utf8'), SECRET);

    const wrong = join(dir, 'wrong');
    writeFileSync(wrong, 'guess', { mode: 0o600 });
    const refused = wakeUp(MACHINE, power({ ...config, bmc_password_file: wrong }), world);
    await t.rejects(refused, {
      message: "the controller 127.0.0.1 of tower's: ipmitool: the password is refused: see bmc_password_file",
    });
    const nobody = wakeUp(MACHINE, power({ ...config, bmc_user: 'nobody' }), world);
    await t.rejects(nobody, /ipmitool: the user is refused: see bmc_user/);
    const open = join(dir, 'open');
    writeFileSync(open, SECRET);
    chmodSync(open, 0o644);
    for (const [file, message] of [
      [open, /may be read by everybody: chmod 600 it/],
      [join(dir, 'none'), /cannot read .*none: ENOENT/],
      [dir, /is no file/],
    ] as const) {
      await t.rejects(wakeUp(MACHINE, power({ ...config, bmc_password_file: file }), world), message);
    }
    const unknown = { ...MACHINE, meta: {} };
    await t.rejects(wakeUp(unknown, power(config), world), /\{meta\.bmc\} is not known of tower's/);
    const option = { ...MACHINE, meta: { bmc: '-oProxyCommand=x' } };
    await t.rejects(wakeUp(option, power({ ...config, bmc_address: '{meta.bmc}' }), world), /bmc_address is no host/);
  },
);

interface Asked {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  body: string;
}

type Answer = { status?: number; body?: unknown; location?: string } | 'silence';

/** A service that answers as a test says. */
async function service(t: Test, answer: (asked: Asked) => Answer): Promise<{ host: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { method = '', url = '', headers } = request;
    asked.push({ method, url, headers, body });
    const said = answer({ method, url, headers, body });
    if (said === 'silence') return;
    const { status = 200, location } = said;
    response.writeHead(status, location === undefined ? {} : { Location: location });
    response.end(typeof said.body === 'string' ? said.body : JSON.stringify(said.body ?? {}));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

t.test('a smart plug: addresses and bodies are filled in, secrets come from files', async (t) => {
  const dir = folder(t);
  let status = 200;
  const { host, asked } = await service(t, ({ url }) =>
    url === '/away' ? { status: 302, location: 'http://127.0.0.1:1/' } : { status },
  );
  const config = {
    method: 'http',
    wake_url: `http://${host}/rpc/{name}?mac={mac}`,
    wake_body: '{"on":true,"who":"{name}"}',
    sleep_method: 'command',
    sleep_command: 'true',
    off_url: `http://${host}/off/{meta.bmc}`,
    http_method: 'PUT',
    http_user: 'me',
    http_password_file: secretFile(dir),
  };
  t.equal(await wakeUp(MACHINE, power(config), world), host);
  await putToSleep(MACHINE, power(config), world);
  t.equal(asked.length, 1, 'the current is not cut while the machine still runs');
  await cutCurrent(MACHINE, power(config), world);
  const { http_user: _, http_password_file: __, ...open } = config;
  await wakeUp(MACHINE, power({ ...open, http_token_file: secretFile(dir, 'tok3n') }), world);
  t.match(asked, [
    {
      method: 'PUT',
      url: "/rpc/tower's?mac=02%3A00%3A00%3A00%3A00%3A01",
      body: `{"on":true,"who":"tower's"}`,
      headers: { authorization: `Basic ${Buffer.from(`me:${SECRET}`).toString('base64')}` },
    },
    { method: 'PUT', url: '/off/127.0.0.1' },
    { headers: { authorization: 'Bearer tok3n' } },
  ]);
  status = 503;
  await t.rejects(wakeUp(MACHINE, power(config), world), { message: `${host} answered 503 for tower's` });
  const away = power({ ...config, wake_url: `http://${host}/away` });
  await t.rejects(wakeUp(MACHINE, away, world), /answered 302/, 'credentials follow nobody elsewhere');
  const nobody = power({ ...config, wake_url: `http://127.0.0.1:${await freePort()}/` });
  await t.rejects(wakeUp(MACHINE, nobody, world), /127\.0\.0\.1:\d+: .*ECONNREFUSED/);
});

t.test('who never answers holds nobody up', async (t) => {
  const { host } = await service(t, () => 'silence');
  const plug = power({ method: 'http', wake_url: `http://${host}/`, sleep_url: `http://${host}/` });
  const given = wakeUp(MACHINE, plug, { rpc, signal: AbortSignal.timeout(200) });
  await t.rejects(given, /127\.0\.0\.1:\d+: /);
  const slow = power({ method: 'command', wake_command: 'sleep 600', sleep_command: 'true' });
  await t.rejects(wakeUp(MACHINE, slow, { rpc, signal: AbortSignal.timeout(200) }), /for tower's: sleep: /);
});

/** A controller as DSP0266 has it. */
function redfish(options: { state?: string; allowed?: string[]; systems?: number; target?: string } = {}) {
  const { state = 'Off', allowed = ['On', 'GracefulShutdown', 'ForceOff'], systems = 1 } = options;
  const at = '/redfish/v1/Systems/1';
  const reset = { target: options.target ?? `${at}/Actions/ComputerSystem.Reset` };
  return ({ method, url, headers }: Asked): Answer => {
    if (headers.authorization !== `Basic ${Buffer.from(`admin:${SECRET}`).toString('base64')}`)
      return { status: 401, body: { error: { code: 'Base.1.8.NoValidSession', message: 'no session' } } };
    if (method === 'POST') return { status: 204, body: '' };
    if (url === '/redfish/v1/Systems')
      return {
        body: { Members: Array.from({ length: systems }, (_, i) => ({ '@odata.id': `/redfish/v1/Systems/${i + 1}` })) },
      };
    const action = { ...reset, 'ResetType@Redfish.AllowableValues': allowed };
    return { body: { Id: '1', PowerState: state, Actions: { '#ComputerSystem.Reset': action } } };
  };
}

t.test('Redfish: what the controller itself names is used', async (t) => {
  const dir = folder(t);
  const file = secretFile(dir);
  const at = (host: string, path = '') =>
    power({ method: 'redfish', bmc_address: `http://${host}${path}`, bmc_user: 'admin', bmc_password_file: file });
  const posts = (asked: Asked[]): string[] =>
    asked.flatMap(({ method, url, body }) => (method === 'POST' ? `${url} ${body}` : []));

  const plain = await service(t, redfish());
  t.equal(await wakeUp(MACHINE, at(plain.host), world), plain.host);
  t.same(posts(plain.asked), ['/redfish/v1/Systems/1/Actions/ComputerSystem.Reset {"ResetType":"On"}']);
  const running = await service(t, redfish({ state: 'On' }));
  await wakeUp(MACHINE, at(running.host), world);
  t.same(posts(running.asked), [], 'one that is on is left alone');
  await putToSleep(MACHINE, at(running.host), world);
  t.match(posts(running.asked), [/"GracefulShutdown"/]);
  const odd = await service(t, redfish({ allowed: ['PushPowerButton'] }));
  await wakeUp(MACHINE, at(odd.host), world);
  t.match(posts(odd.asked), [/"PushPowerButton"/]);

  const several = await service(t, redfish({ systems: 2 }));
  await t.rejects(wakeUp(MACHINE, at(several.host), world), /has several systems: name one/);
  await wakeUp(MACHINE, at(several.host, '/redfish/v1/Systems/2'), world);
  const hard = await service(t, redfish({ state: 'On', allowed: ['ForceOff'] }));
  await t.rejects(
    putToSleep(MACHINE, at(hard.host), world),
    /knows none of GracefulShutdown, PushPowerButton but ForceOff/,
  );
  const evil = await service(t, redfish({ target: 'http://127.0.0.1:1/steal' }));
  await t.rejects(wakeUp(MACHINE, at(evil.host), world), /names an address of another host/);
  const wrong = power({
    method: 'redfish',
    bmc_address: `http://${plain.host}`,
    bmc_user: 'bob',
    bmc_password_file: file,
  });
  await t.rejects(wakeUp(MACHINE, wrong, world), /refuses bmc_user or its password \(401: no session\)/);
  const web = await service(t, () => ({ body: '<html>' }));
  await t.rejects(wakeUp(MACHINE, at(web.host), world), /no JSON object: is it a Redfish service/);
});

t.test('over TLS: a certificate is believed when it or its authority is named, or when nobody cares', async (t) => {
  const dir = folder(t);
  const { keyPem, certificatePem } = makeKeyPair(Date.now());
  let powered = 0;
  const server = createSecureServer({ key: keyPem, cert: certificatePem }, (request, response) => {
    const { method = '', url = '', headers } = request;
    if (method === 'POST') powered++;
    const said = redfish()({ method, url, headers, body: '' });
    if (said === 'silence') return;
    response.writeHead(said.status ?? 200);
    response.end(typeof said.body === 'string' ? said.body : JSON.stringify(said.body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const password = secretFile(dir);
  const at = (more: Record<string, string>, host = 'localhost') =>
    power({
      method: 'redfish',
      bmc_address: `${host}:${port}`,
      bmc_user: 'admin',
      bmc_password_file: password,
      ...more,
    });
  const other = join(dir, 'other.pem');
  writeFileSync(other, makeKeyPair(Date.now()).certificatePem);
  for (const config of [at({}), at({ bmc_ca_file: other }), at({}, '127.0.0.1')]) {
    await t.rejects(
      wakeUp(MACHINE, config, world),
      /not trusted \(.*\): name it or its authority in bmc_ca_file, or set bmc_skip_verify = "true"/,
    );
  }
  t.equal(powered, 0);
  const own = join(dir, 'own.pem');
  writeFileSync(own, certificatePem);
  await wakeUp(MACHINE, at({ bmc_ca_file: own }), world);
  await wakeUp(MACHINE, at({ bmc_ca_file: own }, '127.0.0.1'), world);
  await wakeUp(MACHINE, at({ bmc_skip_verify: 'true' }), world);
  t.equal(powered, 3);
  await t.rejects(wakeUp(MACHINE, at({ bmc_ca_file: password }), world), /bmc_ca_file: .* is no certificate in PEM/);
  await t.rejects(wakeUp(MACHINE, at({ bmc_ca_file: join(dir, 'none') }), world), /bmc_ca_file: cannot read .*ENOENT/);
  const plug = { method: 'http', wake_url: `https://localhost:${port}/`, sleep_url: `https://localhost:${port}/` };
  await t.rejects(wakeUp(MACHINE, power(plug), world), /http_ca_file, or set http_skip_verify/);
  t.throws(() => at({ bmc_skip_verify: 'yes' }), /bmc_skip_verify must be one of true, false/);
});

t.test(
  'ssh: with a key, to hosts that are known',
  { skip: has('ssh', 'ssh-keygen', '/usr/sbin/sshd'), timeout: 240_000 },
  async (t) => {
    const dir = folder(t);
    const port = await freePort();
    for (const name of ['host', 'user', 'other'])
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(dir, name)]);
    writeFileSync(join(dir, 'authorized'), readFileSync(join(dir, 'user.pub')), { mode: 0o600 });
    // Where sshd of Debian keeps its own place of separation.
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true });
    const settings = [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${join(dir, 'host')}`,
      `AuthorizedKeysFile ${join(dir, 'authorized')}`,
      'StrictModes no',
      'UsePAM no',
      'PidFile none',
    ];
    writeFileSync(join(dir, 'sshd.conf'), `${settings.join('\n')}\n`);
    const server = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', join(dir, 'sshd.conf')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    t.teardown(() => end(server));
    let log = '';
    server.stderr?.on('data', (chunk) => (log += chunk));
    await eventually('sshd listens', () => {
      if (server.exitCode !== null) throw new Error(log);
      return /Server listening/.test(log) || undefined;
    });
    const known = join(dir, 'known');
    writeFileSync(known, `[127.0.0.1]:${port} ${readFileSync(join(dir, 'host.pub'), 'utf8')}`);
    const config = {
      method: 'ssh',
      ssh_user: userInfo().username,
      ssh_port: String(port),
      ssh_key_file: join(dir, 'user'),
      ssh_known_hosts: known,
      ssh_wake_host: '127.0.0.1',
      wake_command: `echo wake {mac} {name} >${dir}/woken`,
      sleep_command: `echo sleep >${dir}/slept`,
    };
    t.equal(await wakeUp(MACHINE, power(config), world), '127.0.0.1');
    t.equal(readFileSync(join(dir, 'woken'), 'utf8'), "wake 02:00:00:00:00:01 tower's\n");
    await putToSleep(MACHINE, power(config), world);
    t.equal(readFileSync(join(dir, 'slept'), 'utf8'), 'sleep\n');
    // A machine that suspends takes the connection with it.
    await putToSleep(MACHINE, power({ ...config, sleep_command: 'kill -9 $PPID' }), world);

    const failing = power({ ...config, sleep_command: 'echo no such thing >&2; exit 3' });
    await t.rejects(putToSleep(MACHINE, failing, world), /127\.0\.0\.1 for tower's: ssh: no such thing/);
    const stranger = power({ ...config, ssh_key_file: join(dir, 'other') });
    await t.rejects(wakeUp(MACHINE, stranger, world), /Permission denied.*; ssh_key_file names a key that/);
    for (const [file, message] of [
      [join(dir, 'none'), /ssh_key_file: cannot read .*none: ENOENT/],
      [join(dir, 'user.pub'), /ssh_key_file: .*user\.pub may be read by everybody/],
    ] as const) {
      chmodSync(join(dir, 'user.pub'), 0o644);
      await t.rejects(wakeUp(MACHINE, power({ ...config, ssh_key_file: file }), world), message);
    }
    const shut = power({ ...config, ssh_port: String(await freePort()) });
    await t.rejects(wakeUp(MACHINE, shut, world), /127\.0\.0\.1 for tower's: ssh: .*Connection refused/);
    writeFileSync(known, `[127.0.0.1]:${port} ${readFileSync(join(dir, 'other.pub'), 'utf8')}`);
    await t.rejects(wakeUp(MACHINE, power(config), world), /Host key verification failed.*; ssh_known_hosts must/);
  },
);

t.test('a command is told of the machine, and its failure is told on', async (t) => {
  const dir = folder(t);
  const script = program(dir, 'wake', `#!/bin/sh\necho "$NODE_NAME $NODE_ID $NODE_ADDRESS $NODE_MAC" >${dir}/told\n`);
  const fails = program(dir, 'fails', '#!/bin/sh\necho the plug is gone >&2\nexit 1\n');
  const config = power({ method: 'command', wake_command: `${script} now`, sleep_command: fails });
  t.equal(await wakeUp(MACHINE, config, world), script);
  t.equal(readFileSync(join(dir, 'told'), 'utf8'), "tower's node-1 127.0.0.1 02:00:00:00:00:01\n");
  await t.rejects(putToSleep(MACHINE, config, world), /for tower's: .*fails: the plug is gone/);
  const missing = power({ method: 'command', wake_command: '/nowhere/wake', sleep_command: fails });
  await t.rejects(wakeUp(MACHINE, missing, world), /it is not installed on this server/);
});
