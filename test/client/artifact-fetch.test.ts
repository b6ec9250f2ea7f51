import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { fetchArtifact } from '../../lib/client/artifact/fetch.js';
import { objectPath, parseS3, signedGet } from '../../lib/client/artifact/s3.js';
import { parseSource, redact } from '../../lib/client/artifact/source.js';
import { type ArtifactConfig, DEFAULT_ARTIFACT_CONFIG } from '../../lib/client/content-config.js';
import type { TaskArtifact } from '../../lib/structs/job.js';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A web server with files and answers, and a task's directory to fetch into. */
class Web {
  readonly dir = mkdtempSync(join(tmpdir(), 'fetch-test-'));
  readonly files = join(this.dir, 'www');
  readonly task = join(this.dir, 'alloc');
  readonly asked: IncomingMessage[] = [];
  readonly answers = new Map<string, Answer>();
  config: ArtifactConfig = DEFAULT_ARTIFACT_CONFIG;
  owner: { uid: number; gid: number } | null = null;
  onProgress: () => void = () => {};
  url = '';

  static async open(t: Test): Promise<Web> {
    const web = new Web();
    mkdirSync(web.files);
    mkdirSync(join(web.task, 'local'), { recursive: true });
    const server = createServer((request, response) => web.answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    web.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    t.teardown(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(web.dir, { recursive: true, force: true });
    });
    return web;
  }

  file(name: string, content: string | Buffer): void {
    writeFileSync(join(this.files, name), content);
  }

  async fetch(
    GetterSource: string,
    more: Partial<TaskArtifact> = {},
    signal = new AbortController().signal,
  ): Promise<void> {
    const artifact = {
      GetterSource,
      GetterOptions: null,
      GetterHeaders: null,
      GetterMode: 'any',
      GetterInsecure: false,
      RelativeDest: 'local/',
      Chown: false,
      ...more,
    };
    const parts = artifact.RelativeDest.split('/').filter((part) => part !== '');
    await fetchArtifact(artifact, {
      config: this.config,
      scratch: join(this.dir, 'scratch'),
      destination: { root: this.task, parts },
      owner: this.owner,
      signal,
      now: () => Date.parse('2013-05-24T00:00:00Z'),
      progress: () => this.onProgress(),
    });
  }

  got(name: string): string {
    return readFileSync(join(this.task, name), 'utf8');
  }

  /** Nothing is left of a fetch but what it fetched. */
  get rests(): string[] {
    return existsSync(join(this.dir, 'scratch')) ? readdirSync(join(this.dir, 'scratch')) : [];
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    this.asked.push(request);
    const path = decodeURIComponent(new URL(request.url ?? '', 'http://x').pathname);
    const own = this.answers.get(path);
    if (own) {
      own(request, response);
      return;
    }
    const file = join(this.files, normalize(path));
    if (existsSync(file) && statSync(file).isFile()) response.end(readFileSync(file));
    else response.writeHead(404).end();
  }
}

t.test('https where none is spoken is told as that', async (t) => {
  const web = await Web.open(t);
  const said = /: no TLS is spoken there: write http instead of https$/;
  await t.rejects(web.fetch(web.url.replace('http:', 'https:')), { message: said });
});

t.test('a file, an archive and a part of one come to their place', async (t) => {
  const web = await Web.open(t);
  mkdirSync(join(web.dir, 'in/v1.2/bin'), { recursive: true });
  writeFileSync(join(web.dir, 'in/v1.2/bin/app'), 'app');
  execFileSync('tar', ['czf', join(web.files, 'a.tgz'), '-C', join(web.dir, 'in'), '.']);
  web.file('plain.txt', 'plain');
  web.file('one.gz', gzipSync('one'));
  await web.fetch(`${web.url}/plain.txt`);
  t.equal(web.got('local/plain.txt'), 'plain');
  t.equal(statSync(join(web.task, 'local/plain.txt')).mode & 0o777, 0o644);
  await web.fetch(`${web.url}/plain.txt?x=1`, { RelativeDest: 'local/sub/name', GetterMode: 'file' });
  t.equal(web.got('local/sub/name'), 'plain');
  t.equal(web.asked.at(-1)?.url, '/plain.txt?x=1');
  await web.fetch(`${web.url}/a.tgz`, { RelativeDest: 'local/all' });
  t.equal(web.got('local/all/v1.2/bin/app'), 'app');
  await web.fetch(`${web.url}/a.tgz//v*/bin`, { RelativeDest: 'local/part' });
  t.equal(web.got('local/part/app'), 'app');
  await web.fetch(`${web.url}/one.gz`);
  t.equal(web.got('local/one'), 'one');
  await web.fetch(`${web.url}/a.tgz?archive=false`);
  t.ok(existsSync(join(web.task, 'local/a.tgz')));
  await web.fetch(`${web.url}/a.tgz`, {
    GetterOptions: { archive: 'tar.gz', filename: 'x' },
    RelativeDest: 'local/all',
  });
  t.equal(web.got('local/all/v1.2/bin/app'), 'app', 'what is there is replaced');
  t.same(web.rests, []);
});

t.test('what is fetched is given to the user of the task where that is asked for, and keeps its modes', async (t) => {
  const web = await Web.open(t);
  const isRoot = process.getuid?.() === 0;
  web.owner = isRoot ? { uid: 12345, gid: 23456 } : { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  mkdirSync(join(web.dir, 'in/bin'), { recursive: true, mode: 0o750 });
  writeFileSync(join(web.dir, 'in/bin/app'), 'app', { mode: 0o755 });
  writeFileSync(join(web.dir, 'in/bin/key'), 'key', { mode: 0o600 });
  symlinkSync('app', join(web.dir, 'in/bin/link'));
  execFileSync('tar', ['czf', join(web.files, 'a.tgz'), '-C', join(web.dir, 'in'), '.']);
  web.file('one', 'one');
  await web.fetch(`${web.url}/a.tgz`, { RelativeDest: 'local/new/deep' });
  await web.fetch(`${web.url}/one`, { RelativeDest: 'local/new/one', GetterMode: 'file' });
  const seen = (name: string): [number, number, number] => {
    const { mode, uid, gid } = lstatSync(join(web.task, 'local/new', name));
    return [mode & 0o777, uid, gid];
  };
  const { uid, gid } = web.owner;
  t.same(seen('deep/bin'), [0o750, uid, gid]);
  t.same(seen('deep/bin/app'), [0o755, uid, gid]);
  t.same(seen('deep/bin/key'), [0o600, uid, gid]);
  t.same(seen('deep/bin/link').slice(1), [uid, gid]);
  t.same(seen('one'), [0o644, uid, gid]);
  t.same(seen('deep').slice(1), [uid, gid], 'and the directories on the way');
});

t.test('nothing is unpacked for a task that is to end', async (t) => {
  const web = await Web.open(t);
  const ending = new AbortController();
  const content = gzipSync(Buffer.alloc(1_000_000));
  web.answers.set('/a.gz', (_, response) => {
    response.end(content);
  });
  web.config = { ...DEFAULT_ARTIFACT_CONFIG };
  const fetched = web.fetch(`${web.url}/a.gz`, {}, ending.signal);
  web.onProgress = () => ending.abort();
  await t.rejects(fetched, { message: /ended|abort/, recoverable: true });
  t.notOk(existsSync(join(web.task, 'local/a')));
});

t.test('what is no archive, as an error page under its name, is told as that', async (t) => {
  const web = await Web.open(t);
  web.file('a.tar.gz', '<html>');
  await t.rejects(web.fetch(`${web.url}/a.tar.gz`), { message: /incorrect header check/, recoverable: false });
});

t.test('headers, a password and redirects are sent to whom they are meant for', async (t) => {
  const [web, other] = [await Web.open(t), await Web.open(t)];
  other.file('b', 'b');
  web.answers.set('/a', (_, response) => response.writeHead(302, { location: `${other.url}/b` }).end());
  const GetterHeaders = { 'X-Own': 'v', Cookie: 'c' };
  await web.fetch(`${web.url.replace('//', '//user:p%40ss@')}/a`, {
    GetterHeaders,
    GetterMode: 'file',
    RelativeDest: 'local/b',
  });
  t.equal(web.got('local/b'), 'b');
  t.equal(web.asked[0]?.headers.authorization, `Basic ${Buffer.from('user:p@ss').toString('base64')}`);
  t.match(web.asked[0]?.headers, { 'x-own': 'v', cookie: 'c' });
  t.equal(other.asked[0]?.headers.authorization, undefined);
  t.equal(other.asked[0]?.headers.cookie, undefined);
  web.answers.set('/loop', (_, response) => response.writeHead(302, { location: '/loop' }).end());
  web.answers.set('/file', (_, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end());
  await t.rejects(web.fetch(`${web.url}/loop`), { message: /more than 10 times/, recoverable: false });
  await t.rejects(web.fetch(`${web.url}/file`), { message: /redirects to file:/, recoverable: false });
});

t.test('what is not what its checksum says is refused', async (t) => {
  const web = await Web.open(t);
  web.file('a.txt', 'hello');
  const sum = (kind: string): string => createHash(kind).update('hello').digest('hex');
  for (const kind of ['md5', 'sha1', 'sha256', 'sha512']) {
    await web.fetch(`${web.url}/a.txt`, { GetterOptions: { checksum: `${kind}:${sum(kind)}` } });
    await web.fetch(`${web.url}/a.txt`, { GetterOptions: { checksum: sum(kind) } });
  }
  web.file('SUMS', `${sum('sha1')}  other.txt\n${sum('sha256')} *a.txt\n`);
  web.file('BSD', `SHA256 (a.txt) = ${sum('sha256').toUpperCase()}\n`);
  await web.fetch(`${web.url}/a.txt`, { GetterOptions: { checksum: `file:${web.url}/SUMS` } });
  await web.fetch(`${web.url}/a.txt`, { GetterOptions: { checksum: `file:${web.url}/BSD` } });
  t.same(web.asked.at(-1)?.url, '/BSD');
  rmSync(join(web.task, 'local/a.txt'));
  const wrong: [string, RegExp][] = [
    [`sha256:${'0'.repeat(64)}`, /checksums did not match/],
    [`md5:${sum('sha256')}`, /no md5/],
    ['xyz', /no md5/],
    [`file:${web.url}/a.txt`, /no checksum of a\.txt/],
    ['file:/etc/passwd', /over http/],
  ];
  for (const [checksum, message] of wrong) {
    await t.rejects(
      web.fetch(`${web.url}/a.txt`, { GetterOptions: { checksum } }),
      { message, recoverable: false },
      checksum,
    );
  }
  t.notOk(existsSync(join(web.task, 'local/a.txt')));
});

t.test('limits and the end of the task hold, and what may be better next time is told apart', async (t) => {
  const web = await Web.open(t);
  web.file('big', Buffer.alloc(2048));
  web.answers.set('/endless', (_, response) => void response.writeHead(200).write('x'));
  web.answers.set('/cut', (_, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('x', () => response.destroy());
  });
  web.answers.set('/busy', (_, response) => response.writeHead(503).end());
  web.answers.set('/no', (_, response) => response.writeHead(403).end());
  web.config = { ...DEFAULT_ARTIFACT_CONFIG, httpMaxBytes: 1024, httpReadTimeoutMs: 300 };
  await t.rejects(web.fetch(`${web.url}/big`), { message: /at most 1 KiB/, recoverable: false });
  await t.rejects(web.fetch(`${web.url}/endless`), { message: /longer than 0.3 s/, recoverable: true });
  await t.rejects(web.fetch(`${web.url}/cut`), { message: /broke after [01] of 100 bytes/, recoverable: true });
  await t.rejects(web.fetch(`${web.url}/busy`), { message: /bad response code: 503/, recoverable: true });
  await t.rejects(web.fetch(`${web.url}/none`), { message: /404/, recoverable: true });
  await t.rejects(web.fetch(`${web.url}/no`), { message: /403/, recoverable: false });
  await t.rejects(web.fetch('http://127.0.0.1:1/x'), { message: /ECONNREFUSED/, recoverable: true });
  const ending = new AbortController();
  const asked = web.fetch(`${web.url}/endless`, {}, ending.signal);
  ending.abort();
  await t.rejects(asked, { message: /./, recoverable: true });
  t.same(web.rests, []);
});

t.test('nothing is put outside, whatever lies at the destination', async (t) => {
  const web = await Web.open(t);
  web.file('f', 'new');
  writeFileSync(join(web.dir, 'victim'), 'whole');
  symlinkSync(join(web.dir, 'victim'), join(web.task, 'local/f'));
  symlinkSync(web.dir, join(web.task, 'local/up'));
  await web.fetch(`${web.url}/f`);
  t.equal(web.got('local/f'), 'new');
  t.equal(readFileSync(join(web.dir, 'victim'), 'utf8'), 'whole');
  await t.rejects(web.fetch(`${web.url}/f`, { RelativeDest: 'local/up/x' }), /is a link/);
  mkdirSync(join(web.dir, 'in/up'), { recursive: true });
  writeFileSync(join(web.dir, 'in/up/evil'), '');
  execFileSync('tar', ['cf', join(web.files, 'up.tar'), '-C', join(web.dir, 'in'), '.']);
  await web.fetch(`${web.url}/up.tar`);
  t.notOk(existsSync(join(web.dir, 'evil')), 'a link in the way is replaced');
  t.equal(web.got('local/up/evil'), '');
});

t.test('git: a branch, a tag, a commit, a part, and no links out', async (t) => {
  const web = await Web.open(t);
  const repo = join(web.dir, 'repo');
  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', '-c', 'init.defaultBranch=main', ...args], {
      cwd: repo,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  mkdirSync(join(repo, 'sub'), { recursive: true });
  git('init', '-q');
  writeFileSync(join(repo, 'sub/f'), 'one');
  git('add', '.');
  git('commit', '-qm', 'one');
  git('tag', 'v1');
  const commit = git('rev-parse', 'HEAD').trim();
  writeFileSync(join(repo, 'sub/f'), 'two');
  git('commit', '-qam', 'two');
  git('checkout', '-qb', 'bad');
  symlinkSync('/etc/passwd', join(repo, 'l'));
  git('add', '.');
  git('commit', '-qm', 'bad');
  git('checkout', '-q', 'main');
  execFileSync('git', ['clone', '-q', '--bare', repo, join(web.files, 'r.git')], { stdio: 'ignore' });
  execFileSync('git', ['update-server-info'], { cwd: join(web.files, 'r.git') });
  const source = `git::${web.url}/r.git`;
  await web.fetch(source, { RelativeDest: 'local/a' });
  t.equal(web.got('local/a/sub/f'), 'two');
  await web.fetch(`${source}//sub?ref=v1`, { RelativeDest: 'local/b' });
  t.equal(web.got('local/b/f'), 'one');
  await web.fetch(source, { RelativeDest: 'local/c', GetterOptions: { ref: commit } });
  t.equal(web.got('local/c/sub/f'), 'one');
  await t.rejects(web.fetch(source, { GetterOptions: { ref: 'bad' } }), /outside of what was fetched/);
  await t.rejects(web.fetch(source, { GetterOptions: { ref: '--upload-pack=x' } }), {
    message: /is none/,
    recoverable: false,
  });
  await t.rejects(web.fetch(source, { GetterOptions: { depth: '-1' } }), { message: /no number/, recoverable: false });
  await t.rejects(web.fetch(`git::${web.url}/none.git`), { message: /git exited with 128/, recoverable: true });
  await t.rejects(web.fetch(`git::file://${repo}`), /files of the host are not fetched/, 'no repository of the host');
  await t.rejects(web.fetch(`git::ext::sh -c touch% ${web.dir}/evil`), /./);
  t.notOk(existsSync(join(web.dir, 'evil')));
  web.config = { ...DEFAULT_ARTIFACT_CONFIG, hostFiles: true };
  await web.fetch(`git::file://${repo}`, { RelativeDest: 'local/d', GetterOptions: { depth: '1', ref: 'v1' } });
  t.equal(web.got('local/d/sub/f'), 'one');
  t.same(web.rests, []);
});

t.test('files of the host come only where that is allowed', async (t) => {
  const web = await Web.open(t);
  web.file('f', 'x');
  const path = join(web.files, 'f');
  await t.rejects(web.fetch(path), { message: /disable_filesystem_isolation/, recoverable: false });
  await t.rejects(web.fetch(`file://${path}`), /not fetched/);
  web.config = { ...DEFAULT_ARTIFACT_CONFIG, hostFiles: true };
  await web.fetch(`file://${path}`);
  t.equal(web.got('local/f'), 'x');
  await web.fetch(web.files, { RelativeDest: 'local/all' });
  t.equal(web.got('local/all/f'), 'x');
});

t.test('s3: an object, and all below a prefix, signed as Amazon wants it', async (t) => {
  // From Amazon's description of Signature Version 4: listing a bucket with two parameters.
  const known = parseS3(
    'https://examplebucket.s3.amazonaws.com/',
    {},
    { id: 'AKIAIOSFODNN7EXAMPLE', secret: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', token: null },
  );
  const { headers } = signedGet(known, {
    path: '/',
    query: { prefix: 'J', 'max-keys': '2' },
    now: new Date('2013-05-24T00:00:00Z'),
  });
  t.match(headers['authorization'], /Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7$/);
  t.equal(objectPath(parseS3('https://s3.eu-west-1.amazonaws.com/b/k', {}, null), 'a b/ü+'), '/b/a%20b/%C3%BC%2B');
  t.equal(parseS3('https://s3.eu-west-1.amazonaws.com/b/k', {}, null).region, 'eu-west-1');
  const web = await Web.open(t);
  mkdirSync(join(web.files, 'bucket/dir/sub'), { recursive: true });
  web.file('bucket/dir/a', 'A');
  web.file('bucket/dir/sub/b', 'B');
  const listing = (key: string, next: string): string =>
    `<ListBucketResult><Contents><Key>${key}</Key></Contents>${next}</ListBucketResult>`;
  web.answers.set('/bucket', ({ url = '' }, response) => {
    response.end(
      url.includes('continuation-token=2%3D')
        ? listing('dir/sub/b', '')
        : listing('dir/a', '<NextContinuationToken>2=</NextContinuationToken>'),
    );
  });
  const GetterOptions = {
    aws_access_key_id: 'id',
    aws_access_key_secret: 'secret',
    aws_access_token: 'token',
    region: 'r1',
  };
  await web.fetch(`s3::${web.url}/bucket/dir/a`, { GetterOptions });
  t.equal(web.got('local/a'), 'A');
  t.match(web.asked[0]?.headers, {
    authorization: /^AWS4-HMAC-SHA256 Credential=id\/20130524\/r1\/s3\/aws4_request, SignedHeaders=host;/,
    'x-amz-security-token': 'token',
  });
  await web.fetch(`s3::${web.url}/bucket/dir`, { GetterMode: 'dir', RelativeDest: 'local/all' });
  t.same([web.got('local/all/a'), web.got('local/all/sub/b')], ['A', 'B']);
  t.equal(lstatSync(join(web.task, 'local/all/sub/b')).mode & 0o777, 0o644, 'tasks of any user read it');
  await web.fetch(`s3::${web.url}/bucket/dir`, { RelativeDest: 'local/any' });
  await web.fetch(`s3::${web.url}/bucket/dir/`, { RelativeDest: 'local/slash' });
  t.same([web.got('local/any/a'), web.got('local/slash/sub/b')], ['A', 'B'], 'a prefix needs no mode');
  web.answers.set('/bucket', (_, response) => void response.end(listing('dir/../../x', '')));
  await t.rejects(web.fetch(`s3::${web.url}/bucket/dir`, { GetterMode: 'dir' }), /leads out of the prefix/);
  web.answers.set('/bucket', (_, response) => void response.end('<ListBucketResult></ListBucketResult>'));
  await t.rejects(web.fetch(`s3::${web.url}/bucket/none`), { message: /code: 404/, recoverable: true });
  web.answers.set('/bucket/a', (_, response) => {
    response.writeHead(403, { 'content-type': 'application/xml' });
    response.end('<Error><Code>SignatureDoesNotMatch</Code><Message>Look at your key.</Message></Error>');
  });
  await t.rejects(web.fetch(`s3::${web.url}/bucket/a`), /403 Forbidden \(SignatureDoesNotMatch: Look at your key\.\)$/);
  await t.rejects(
    web.fetch(`s3::${web.url}/bucket/a`, { GetterOptions: { aws_access_key_id: 'id' } }),
    /aws_access_key_id needs an aws_access_key_secret beside it/,
  );
});

const SOURCES: [string, object | RegExp][] = [
  [
    'https://h/a.zip//sub/x?checksum=md5:0&k=v',
    { fetcher: 'http', url: 'https://h/a.zip?k=v', subdir: 'sub/x', options: { checksum: 'md5:0', k: 'v' } },
  ],
  ['git::https://h/r.git?ref=v1&depth=1', { fetcher: 'git', url: 'https://h/r.git', subdir: '' }],
  ['git@github.com:o/r.git', { fetcher: 'git', url: 'git@github.com:o/r.git' }],
  ['git::ssh://git@h/o/r//d', { fetcher: 'git', url: 'ssh://git@h/o/r', subdir: 'd' }],
  ['github.com/o/r//d?ref=x', { fetcher: 'git', url: 'https://github.com/o/r.git', subdir: 'd' }],
  ['s3::https://s3.amazonaws.com/b/k', { fetcher: 's3', url: 'https://s3.amazonaws.com/b/k' }],
  ['b.s3-eu-west-1.amazonaws.com/k', { fetcher: 's3', url: 'https://b.s3-eu-west-1.amazonaws.com/k' }],
  ['hg::https://h/r', /hg sources are not supported/],
  ['gcs::https://h/r', /gcs sources/],
  ['ftp://h/x', /download not supported for scheme "ftp"/],
  ['git::--upload-pack=x', /does not begin with -/],
  ['https://h/a.zip//../x', /leads out/],
  ['just/a/name', /has no scheme/],
]; // prettier-ignore

for (const [source, expected] of SOURCES) {
  t.test(`the source ${source}`, async (t) => {
    const parsed = parseSource(source, {});
    t.match(parsed.ok ? parsed.value : parsed.error, expected);
  });
}

t.test('secrets in a source are not told', async (t) => {
  t.equal(
    redact('https://u:p@h/x?sshkey=abc&ref=v1&aws_access_key_secret=s'),
    'https://h/x?sshkey=redacted&ref=v1&aws_access_key_secret=redacted',
  );
});
