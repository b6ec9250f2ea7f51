import { execFileSync, spawn } from 'node:child_process';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { fetchArtifact } from '../../lib/client/artifact/fetch.js';
import { type ArtifactConfig, DEFAULT_ARTIFACT_CONFIG } from '../../lib/client/content-config.js';
import type { TaskArtifact } from '../../lib/structs/job.js';
import { type AllocStub, allocsOf, eventually, freePort, TestAgent } from '../support/mesh-agent.js';

// Artifacts from servers that are as strict as real ones.

class Desk {
  readonly dir = mkdtempSync(join(tmpdir(), 'artifact-servers-'));
  readonly task = join(this.dir, 'alloc');
  readonly told: [done: number, total: number | null][] = [];
  config: ArtifactConfig = DEFAULT_ARTIFACT_CONFIG;

  constructor(t: Test) {
    mkdirSync(join(this.task, 'local'), { recursive: true });
    t.teardown(() => rmSync(this.dir, { recursive: true, force: true }));
  }

  async fetch(GetterSource: string, more: Partial<TaskArtifact> = {}): Promise<void> {
    const { RelativeDest = 'local/' } = more;
    await fetchArtifact(
      {
        GetterSource,
        GetterOptions: null,
        GetterHeaders: null,
        GetterMode: 'any',
        GetterInsecure: false,
        RelativeDest,
        Chown: false,
        ...more,
      },
      {
        config: this.config,
        scratch: join(this.dir, 'scratch'),
        destination: { root: this.task, parts: RelativeDest.split('/').filter((part) => part !== '') },
        owner: null,
        signal: new AbortController().signal,
        now: Date.now,
        progress: (_, done, total) => void this.told.push([done, total]),
      },
    );
  }

  got(name: string): string {
    return readFileSync(join(this.task, name), 'utf8');
  }
}

/** Gives variables to this process for the time of a test. */
function setEnv(t: Test, values: Record<string, string>): void {
  for (const [name, value] of Object.entries(values)) {
    const before = process.env[name];
    process.env[name] = value;
    t.teardown(() => {
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    });
  }
}

async function serve(t: Test, answer: RequestListener, tls?: { key: string; cert: string }): Promise<number> {
  const server = tls ? createTlsServer(tls, answer) : createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

/** A server of one file that sends at most so much at once, and says which version it is. */
function cutting(
  file: { content: Buffer; tag: string | null },
  atOnce: () => number,
  asked: IncomingMessage[],
): RequestListener {
  return (request, response) => {
    asked.push(request);
    const { range, 'if-range': same } = request.headers;
    const from = range !== undefined && same === file.tag ? Number(/bytes=(\d+)-/.exec(range)?.[1]) : 0;
    const size = file.content.length;
    response.writeHead(from > 0 ? 206 : 200, {
      'content-length': size - from,
      ...(file.tag !== null && { etag: file.tag }),
      ...(from > 0 && { 'content-range': `bytes ${from}-${size - 1}/${size}` }),
    });
    const piece = file.content.subarray(from, from + atOnce());
    response.write(piece, () =>
      from + piece.length < size ? setTimeout(() => response.destroy(), 20) : response.end(),
    );
  };
}

t.test('a download that is cut off goes on where it broke', { timeout: 120_000 }, async (t) => {
  const desk = new Desk(t);
  const file = { content: randomBytes(3_000_000), tag: '"v1"' as string | null };
  const asked: IncomingMessage[] = [];
  let atOnce = 1_000_000;
  const port = await serve(
    t,
    cutting(file, () => atOnce, asked),
  );
  const GetterOptions = { checksum: `sha256:${createHash('sha256').update(file.content).digest('hex')}` };
  await desk.fetch(`http://127.0.0.1:${port}/big`, { GetterOptions, GetterHeaders: { 'X-Own': 'v' } });
  t.ok(readFileSync(join(desk.task, 'local/big')).equals(file.content));
  t.ok(asked.length >= 3, `${asked.length} requests`);
  t.match(asked.at(-1)?.headers, { range: /^bytes=\d+-$/, 'if-range': '"v1"', 'x-own': 'v' });
  t.same(desk.told.at(-1), [3_000_000, 3_000_000]);
  t.ok(
    desk.told.every(([done], i) => i === 0 || done > (desk.told[i - 1]?.[0] ?? 0)),
    'progress never goes back',
  );

  asked.length = 0;
  atOnce = 0;
  await t.rejects(
    desk.fetch(`http://127.0.0.1:${port}/none`),
    { message: /./, recoverable: true },
    'no byte comes any more',
  );
  t.ok(asked.length > 1 && asked.length < 8);

  asked.length = 0;
  atOnce = 1_000_000;
  file.tag = null;
  await t.rejects(
    desk.fetch(`http://127.0.0.1:${port}/other`),
    { message: /./, recoverable: true },
    'nobody knows which version it was',
  );
  t.equal(asked.length, 1);
  file.tag = '"v2"';
  asked.length = 0;
  const changed = desk.fetch(`http://127.0.0.1:${port}/changed`);
  await eventually('a request', () => asked.length > 0 || undefined);
  file.tag = '"v3"';
  await t.rejects(changed, { message: /./, recoverable: true }, 'what has become another file is not patched together');
});

/** A key, and a certificate that it has signed itself. */
function selfSigned(dir: string): { key: string; cert: string } {
  const [key, cert] = [join(dir, 'key'), join(dir, 'cert')];
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/CN=127.0.0.1',
      '-days',
      '2',
      '-keyout',
      key,
      '-out',
      cert,
    ],
    { stdio: 'ignore' },
  );
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}

t.test('a certificate that nobody vouches for is taken only where the job file says so', async (t) => {
  const desk = new Desk(t);
  const tls = selfSigned(desk.dir);
  const port = await serve(t, (_, response) => response.end('over tls'), tls);
  await t.rejects(desk.fetch(`https://127.0.0.1:${port}/f`), { message: /certificate/, recoverable: true });
  await desk.fetch(`https://127.0.0.1:${port}/f`, { GetterInsecure: true });
  t.equal(desk.got('local/f'), 'over tls');
});

/** A small S3: it answers those alone whose signature (version 4) is right. */
class Store {
  readonly objects = new Map<string, string>();
  readonly secrets = new Map<string, string>();

  readonly answer: RequestListener = (request, response) => {
    const refusal = this.check(request);
    if (refusal !== null) {
      response.writeHead(403).end(`<Error><Code>${refusal}</Code></Error>`);
      return;
    }
    const url = new URL(request.url ?? '', 'http://x');
    if (url.searchParams.get('list-type') === '2') this.list(url, response);
    else this.object(url, response);
  };

  private object({ pathname }: URL, response: ServerResponse): void {
    const content = this.objects.get(decodeURIComponent(pathname.replace('/bucket/', '')));
    if (content === undefined) response.writeHead(404).end();
    else response.end(content);
  }

  /** One key a page. */
  private list({ searchParams }: URL, response: ServerResponse): void {
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(searchParams.get('prefix') ?? '')).sort();
    const from = Number(searchParams.get('continuation-token') ?? '0');
    const next = from + 1 < keys.length ? `<NextContinuationToken>${from + 1}</NextContinuationToken>` : '';
    const key = keys[from]?.replaceAll('&', '&amp;');
    response.end(`<ListBucketResult>${key ? `<Contents><Key>${key}</Key></Contents>` : ''}${next}</ListBucketResult>`);
  }

  private check({ headers, method, url = '' }: IncomingMessage): string | null {
    const [, id = '', scope = '', names = '', signature] =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]+)$/.exec(
        headers.authorization ?? '',
      ) ?? [];
    const secret = this.secrets.get(id);
    if (signature === undefined || secret === undefined) return 'AccessDenied';
    const time = String(headers['x-amz-date']);
    const [path = '', query = ''] = url.split('?');
    const empty = createHash('sha256').update('').digest('hex');
    const lines = names.split(';').map((name) => `${name}:${String(headers[name])}\n`);
    const canonical = [method, path, query.split('&').sort().join('&'), lines.join(''), names, empty].join('\n');
    const text = ['AWS4-HMAC-SHA256', time, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
    const key = scope
      .split('/')
      .reduce<Buffer | string>((from, part) => createHmac('sha256', from).update(part).digest(), `AWS4${secret}`);
    if (!time.startsWith(scope.slice(0, 8)) || !scope.endsWith('/s3/aws4_request'))
      return 'AuthorizationHeaderMalformed';
    const isRight = createHmac('sha256', key).update(text).digest('hex') === signature;
    return isRight && headers['x-amz-content-sha256'] === empty ? null : 'SignatureDoesNotMatch';
  }
}

t.test(
  's3: who signs rightly gets objects, with credentials from the job file, the environment or a profile',
  async (t) => {
    const desk = new Desk(t);
    const store = new Store();
    store.secrets.set('ID1', 'se/cret+1').set('ID2', 'secret2').set('ID3', 'secret3');
    store.objects.set('app/a b+ü&c.txt', 'odd name').set('app/sub/x', 'x').set('app/y', 'y');
    const at = `s3::http://127.0.0.1:${await serve(t, store.answer)}/bucket`;
    const file = join(desk.dir, 'credentials');
    writeFileSync(
      file,
      '[default]\naws_access_key_id = ID3\naws_secret_access_key=wrong\n\n[work]\naws_access_key_id=ID3\naws_secret_access_key = secret3\n',
    );
    setEnv(t, { AWS_ACCESS_KEY_ID: 'ID2', AWS_SECRET_ACCESS_KEY: 'secret2', AWS_SHARED_CREDENTIALS_FILE: file });
    const given = { aws_access_key_id: 'ID1', aws_access_key_secret: 'se/cret+1', region: 'eu-west-9' };
    await desk.fetch(`${at}/app/a%20b%2B%C3%BC%26c.txt`, {
      GetterOptions: given,
      GetterMode: 'file',
      RelativeDest: 'local/odd',
    });
    t.equal(desk.got('local/odd'), 'odd name');
    await desk.fetch(`${at}/app`, { GetterOptions: given, GetterMode: 'dir', RelativeDest: 'local/all' });
    t.same(
      [desk.got('local/all/a b+ü&c.txt'), desk.got('local/all/sub/x'), desk.got('local/all/y')],
      ['odd name', 'x', 'y'],
    );
    const wrong = { GetterOptions: { ...given, aws_access_key_secret: 'no' } };
    await t.rejects(desk.fetch(`${at}/app/y`, wrong), { message: /403/, recoverable: false });
    await t.rejects(desk.fetch(`${at}/app/y`), /403/, 'the environment of the agent is not for job files');
    await t.rejects(desk.fetch(`${at}/app/y`, { GetterOptions: { aws_profile: 'work' } }), /set_environment_variables/);
    desk.config = { ...desk.config, environment: ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'] };
    await desk.fetch(`${at}/app/y`, { RelativeDest: 'local/env' });
    t.equal(desk.got('local/env/y'), 'y');
    desk.config = { ...desk.config, environment: ['AWS_SHARED_CREDENTIALS_FILE'] };
    await desk.fetch(`${at}/app/y`, { GetterOptions: { aws_profile: 'work' }, RelativeDest: 'local/profile' });
    t.equal(desk.got('local/profile/y'), 'y');
    await t.rejects(desk.fetch(`${at}/app/y`), /403/, 'the profile "default" has another secret');
    await t.rejects(desk.fetch(`${at}/app/y`, { GetterOptions: { aws_profile: 'none' } }), /has no profile "none"/);
  },
);

t.test('git over ssh, with a key from the job file', { timeout: 120_000 }, async (t) => {
  const desk = new Desk(t);
  const { dir } = desk;
  const git = (cwd: string, ...args: string[]): void => {
    const own = [
      '-c',
      'user.name=t',
      '-c',
      'user.email=t@t',
      '-c',
      'init.defaultBranch=main',
      '-c',
      'protocol.file.allow=always',
    ];
    execFileSync('git', [...own, ...args], { cwd, stdio: 'ignore' });
  };
  for (const name of ['part', 'repo']) {
    mkdirSync(join(dir, name));
    git(join(dir, name), 'init', '-q');
    writeFileSync(join(dir, name, 'f'), name);
    git(join(dir, name), 'add', '.');
    git(join(dir, name), 'commit', '-qm', name);
  }
  for (const name of ['host', 'user', 'other'])
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(dir, `${name}-key`)]);
  writeFileSync(join(dir, 'authorized'), readFileSync(join(dir, 'user-key.pub')), { mode: 0o600 });
  const port = await sshd(t, dir);
  const at = `ssh://${userInfo().username}@127.0.0.1:${port}${dir}`;
  git(join(dir, 'repo'), 'submodule', 'add', '-q', join(dir, 'part'), 'part');
  git(join(dir, 'repo'), 'config', '-f', '.gitmodules', 'submodule.part.url', `${at}/part`);
  git(join(dir, 'repo'), 'commit', '-qam', 'with a part');
  git(join(dir, 'repo'), 'tag', 'v2');
  const key = (name: string): string => readFileSync(join(dir, `${name}-key`)).toString('base64');
  await desk.fetch(`git::${at}/repo`, { GetterOptions: { sshkey: key('user') }, RelativeDest: 'local/a' });
  t.same([desk.got('local/a/f'), desk.got('local/a/part/f')], ['repo', 'part'], 'and its submodules');
  t.throws(() => statSync(join(dir, 'scratch/key/ssh-key')), 'the key does not stay');
  await desk.fetch(`git::${at}/repo?ref=v2&depth=1`, {
    GetterOptions: { sshkey: key('user') },
    RelativeDest: 'local/b',
  });
  t.match(
    execFileSync('git', ['-c', 'safe.directory=*', 'rev-list', '--count', 'HEAD'], {
      cwd: join(desk.task, 'local/b'),
      encoding: 'utf8',
    }),
    /^1\n/,
  );
  const refused = desk.fetch(`git::${at}/repo`, { GetterOptions: { sshkey: key('other') }, RelativeDest: 'local/c' });
  const error = await refused.then(
    () => null,
    (reason: unknown) => reason as Error,
  );
  t.match(error?.message, /Permission denied/);
  t.notMatch(error?.message, key('other').slice(0, 40));
});

/** A server of its own for ssh, for whoever runs the test and has the key. */
async function sshd(t: Test, dir: string): Promise<number> {
  const port = await freePort();
  const config = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${dir}/host-key`,
    `AuthorizedKeysFile ${dir}/authorized`,
    'PidFile none',
    'UsePAM no',
    'StrictModes no',
    'PasswordAuthentication no',
    'PermitRootLogin yes',
  ];
  writeFileSync(join(dir, 'sshd.conf'), `${config.join('\n')}\n`);
  // Where sshd of Debian keeps its own place of separation.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true });
  const child = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', join(dir, 'sshd.conf')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let log = '';
  child.stderr?.on('data', (chunk) => {
    log += chunk;
  });
  await eventually('sshd listens', () => {
    if (child.exitCode !== null) throw new Error(log);
    return /Server listening/.test(log) || undefined;
  });
  return port;
}

const JOB = (port: number, tlsPort: number, sum: string): string => `
job "fetches" {
  type = "batch"
  group "g" {
    restart {
      attempts = 0
      mode     = "fail"
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }
    task "t" {
      driver = "raw_exec"
      artifact {
        source      = "http://127.0.0.1:${port}/app.tgz//app"
        destination = "local/app"
        options {
          checksum = "sha256:${sum}"
        }
        headers {
          X-Job = "\${NOMAD_JOB_NAME}"
        }
      }
      artifact {
        source      = "https://127.0.0.1:${tlsPort}/f"
        destination = "local/tls"
        mode        = "file"
        insecure    = true
      }
      config {
        command = "/bin/sh"
        args    = ["-c", "cat local/app/file local/tls; ls local"]
      }
      resources {
        cpu    = 20
        memory = 10
      }
    }
  }
}
`;

t.test('a job file’s artifacts come within the limits of the agent', { timeout: 180_000 }, async (t) => {
  const desk = new Desk(t);
  const seen: IncomingMessage[] = [];
  const pack = (name: string, size: number): Buffer => {
    mkdirSync(join(desk.dir, name, 'app'), { recursive: true });
    writeFileSync(join(desk.dir, name, 'app/file'), size > 100 ? randomBytes(size) : 'from the archive\n');
    return execFileSync('tar', ['cz', '-C', join(desk.dir, name), '.'], { maxBuffer: 2 ** 24 });
  };
  const archives = [pack('small', 0), pack('large', 200_000)];
  let chosen = 0;
  const port = await serve(t, (request, response) => {
    seen.push(request);
    response.end(archives[chosen]);
  });
  const tlsPort = await serve(t, (_, response) => response.end('over tls\n'), selfSigned(desk.dir));
  const agent = await TestAgent.start({ config: 'client {\n  artifact {\n    http_max_size = "100KB"\n  }\n}\n' });
  t.teardown(() => agent.dispose());
  const ends = async (status: string): Promise<AllocStub> => {
    const sum = createHash('sha256')
      .update(archives[chosen] as Buffer)
      .digest('hex');
    const ran = await agent.cli(['job', 'run', '-detach', '-'], { input: JOB(port, tlsPort, sum) });
    t.equal(ran.code, 0, ran.err);
    return (await allocsOf(agent, 'fetches', status, 1))[0] as AllocStub;
  };
  const good = await ends('complete');
  t.equal((await agent.cli(['alloc', 'logs', good.ID])).out, 'from the archive\nover tls\napp\ntls\n');
  t.equal(seen[0]?.headers['x-job'], 'fetches');
  t.equal((await agent.cli(['job', 'stop', '-purge', '-detach', 'fetches'])).code, 0);
  chosen = 1;
  const refused = await ends('failed');
  const events = refused.TaskStates?.['t']?.Events ?? [];
  t.match(
    events.find(({ Type }) => Type === 'Failed Artifact Download')?.DisplayMessage,
    /app\.tgz.* at most 97\.7 KiB are fetched/,
  );
});
