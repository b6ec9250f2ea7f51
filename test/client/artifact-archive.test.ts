import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { type Header, pack } from 'tar-stream';
import { inspectTree, type TreeLimits } from '../../lib/client/artifact/tree.js';
import { archiveOf, unpack } from '../../lib/client/artifact/unpack.js';
import { crc32 as zipCrc } from '../../lib/util/crc32.js';

const LIMITS: TreeLimits = { filesMax: 100, bytesMax: 1024 * 1024 };

class Bench {
  readonly dir = mkdtempSync(join(tmpdir(), 'artifact-test-'));
  readonly root = join(this.dir, 'tree');

  constructor(t: Test) {
    t.teardown(() => rmSync(this.dir, { recursive: true, force: true }));
    mkdirSync(this.root);
  }

  path(name: string): string {
    return join(this.root, name);
  }

  async unpack(file: string, name = file, limits = LIMITS): Promise<void> {
    const found = archiveOf(name, '');
    if (!found) throw new Error(`${name} is no archive`);
    await unpack(join(this.dir, file), found.archive, { root: this.root, name: 'inner', limits });
  }

  /** Writes a tar of these entries. */
  async tar(name: string, entries: [Partial<Header> & { name: string }, string?][]): Promise<void> {
    const out = pack();
    for (const [header, content] of entries) out.entry(header, content ?? '');
    out.finalize();
    const pieces: Buffer[] = [];
    for await (const piece of out) pieces.push(piece as Buffer);
    writeFileSync(join(this.dir, name), Buffer.concat(pieces));
  }
}

for (const [ending, command] of [
  ['tar', null],
  ['tar.gz', ['gzip']],
  ['tgz', ['gzip']],
  ['tar.bz2', ['bzip2']],
  ['tar.xz', ['xz']],
  ['tar.zst', ['zstd', '-q', '--rm']],
] as const) {
  t.test(`unpacks ${ending} with modes, directories and links within`, async (t) => {
    const bench = new Bench(t);
    await bench.tar('plain.tar', [
      [{ name: './', type: 'directory' }],
      [{ name: 'app/', type: 'directory', mode: 0o700 }],
      [{ name: 'app/bin/run', mode: 0o4755 }, '#!/bin/sh\n'],
      [{ name: 'app/conf', mode: 0o640 }, 'x'.repeat(200_000)],
      [{ name: 'app/link', type: 'symlink', linkname: 'bin/run' }],
      [{ name: 'app/bin/up', type: 'symlink', linkname: '../conf' }],
      [{ name: 'app/hard', type: 'link', linkname: 'app/conf' }],
    ]);
    if (command) execFileSync(command[0], [...command.slice(1), join(bench.dir, 'plain.tar')]);
    const made = readdirSync(bench.dir).find((name) => name.startsWith('plain.tar')) as string;
    await bench.unpack(made, `a.${ending}`);
    t.equal(readFileSync(bench.path('app/bin/run'), 'utf8'), '#!/bin/sh\n');
    t.equal(statSync(bench.path('app/bin/run')).mode & 0o7777, 0o755, 'nothing is set-user-id');
    t.equal(statSync(bench.path('app/conf')).size, 200_000);
    t.equal(readlinkSync(bench.path('app/link')), 'bin/run');
    t.equal(readFileSync(bench.path('app/bin/up'), 'utf8').length, 200_000);
    t.equal(lstatSync(bench.path('app/hard')).ino, lstatSync(bench.path('app/conf')).ino);
  });
}

for (const [ending, command] of [
  ['gz', 'gzip'],
  ['bz2', 'bzip2'],
  ['xz', 'xz'],
  ['zst', 'zstd'],
] as const) {
  t.test(`unpacks one file from ${ending}, whole or not at all`, async (t) => {
    const bench = new Bench(t);
    const text = Array.from({ length: 50_000 }, (_, i) => `line ${i * 7919}`).join('\n');
    writeFileSync(join(bench.dir, 'file'), text);
    execFileSync(command, ['-q', join(bench.dir, 'file')]);
    await bench.unpack(`file.${ending}`);
    t.equal(readFileSync(bench.path('inner'), 'utf8'), text);
    const whole = readFileSync(join(bench.dir, `file.${ending}`));
    writeFileSync(join(bench.dir, `cut.${ending}`), whole.subarray(0, whole.length / 2));
    await t.rejects(bench.unpack(`cut.${ending}`), /cannot be unpacked|cut off/);
    writeFileSync(join(bench.dir, `bad.${ending}`), 'no such thing at all, but long enough to look at');
    await t.rejects(bench.unpack(`bad.${ending}`), /cannot be unpacked|no zstd|no bzip2/);
  });
}

t.test('unpacks what zip has made', async (t) => {
  const bench = new Bench(t);
  mkdirSync(join(bench.dir, 'in/sub'), { recursive: true });
  writeFileSync(join(bench.dir, 'in/sub/run'), 'hello', { mode: 0o755 });
  execFileSync('ln', ['-s', 'run', join(bench.dir, 'in/sub/link')]);
  execFileSync('zip', ['-qry', '../a.zip', '.'], { cwd: join(bench.dir, 'in') });
  await bench.unpack('a.zip');
  t.equal(readFileSync(bench.path('sub/run'), 'utf8'), 'hello');
  t.equal(statSync(bench.path('sub/run')).mode & 0o777, 0o755);
  t.equal(readlinkSync(bench.path('sub/link')), 'run');
});

const HOSTILE: [string, [Partial<Header> & { name: string }, string?][], RegExp][] = [
  ['a name that climbs', [[{ name: '../evil' }, 'x']], /leads out/],
  ['a name that climbs from within', [[{ name: 'a/../../evil' }, 'x']], /leads out/],
  ['an absolute name', [[{ name: '/tmp/evil' }, 'x']], /no path within/],
  ['a link out', [[{ name: 'l', type: 'symlink', linkname: '../evil' }]], /outside/],
  ['an absolute link', [[{ name: 'l', type: 'symlink', linkname: '/etc/passwd' }]], /outside/],
  ['a link out by way of a directory', [[{ name: 'a/b/l', type: 'symlink', linkname: '../../../evil' }]], /outside/],
  ['a file through a link', [[{ name: 'd', type: 'symlink', linkname: '.' }], [{ name: 'd/x' }, 'x']], /over a link/],
  [
    'a directory through a link',
    [
      [{ name: 'a', type: 'directory' }],
      [{ name: 'd', type: 'symlink', linkname: 'a' }],
      [{ name: 'd/', type: 'directory' }],
    ],
    /over a link/,
  ],
  [
    'a chain of links',
    [[{ name: 'a', type: 'symlink', linkname: 'b' }], [{ name: 'b', type: 'symlink', linkname: 'a/../..' }]],
    /outside/,
  ],
  ['a hard link out', [[{ name: 'h', type: 'link', linkname: '../../../../etc/passwd' }]], /leads out/],
  ['an absolute hard link', [[{ name: 'h', type: 'link', linkname: '/etc/passwd' }]], /no path within/],
  [
    'a hard link to a link',
    [[{ name: 'l', type: 'symlink', linkname: 'x' }], [{ name: 'h', type: 'link', linkname: 'l' }]],
    /no file of the archive/,
  ],
  [
    'a hard link through a link',
    [
      [{ name: 'd', type: 'symlink', linkname: '.' }],
      [{ name: 'f' }, 'x'],
      [{ name: 'h', type: 'link', linkname: 'd/f' }],
    ],
    /over a link/,
  ],
  ['a character device', [[{ name: 'n', type: 'character-device', devmajor: 1, devminor: 3 }]], /only files/],
  ['a block device', [[{ name: 'n', type: 'block-device', devmajor: 8, devminor: 0 }]], /only files/],
  ['a pipe', [[{ name: 'n', type: 'fifo' }]], /only files/],
  [
    'a file in place of a directory',
    [
      [{ name: 'd/x' }, 'x'],
      [{ name: 'd' }, 'x'],
    ],
    /a file and a directory/,
  ],
  [
    'a directory in place of a file',
    [
      [{ name: 'd' }, 'x'],
      [{ name: 'd/x' }, 'x'],
    ],
    /over a link or a file/,
  ],
  [
    'too many files',
    Array.from({ length: 101 }, (_, i) => [{ name: `f${i}` }, ''] as [Partial<Header> & { name: string }, string]),
    /too many files/,
  ],
  ['too many bytes', [[{ name: 'big' }, 'x'.repeat(1024 * 1024 + 1)]], /unpacks to more than 1 MiB/],
  ['a name without end', [[{ name: 'x'.repeat(300) }, '']], /too long a name/],
  ['a nest without end', [[{ name: `${'d/'.repeat(5_000)}f` }, '']], /too long a name/],
  ['a name with a zero', [[{ name: 'a', pax: { path: 'a\0b' } }, '']], /no path within|cannot be unpacked/],
  ['nothing', [], /empty/],
]; // prettier-ignore

for (const [what, entries, expected] of HOSTILE) {
  t.test(`a tar is refused with ${what}`, async (t) => {
    const bench = new Bench(t);
    await bench.tar('a.tar', entries);
    await t.rejects(bench.unpack('a.tar'), expected);
    t.notOk(existsSync(join(bench.dir, 'evil')) || existsSync('/tmp/evil'));
  });
}

t.test('a link that a later entry replaces is not followed', async (t) => {
  const bench = new Bench(t);
  writeFileSync(join(bench.dir, 'victim'), 'whole');
  await bench.tar('a.tar', [
    [{ name: 'real' }, 'one'],
    [{ name: 'l', type: 'symlink', linkname: 'real' }],
    [{ name: 'l' }, 'two'],
  ]);
  await bench.unpack('a.tar');
  t.equal(readFileSync(bench.path('real'), 'utf8'), 'one');
  t.equal(readFileSync(bench.path('l'), 'utf8'), 'two');
});

/** A zip with one entry, stored as it is. */
function zip(name: string, content: string, { mode = 0o100644, size = Buffer.byteLength(content) } = {}): Buffer {
  const [file, data] = [Buffer.from(name), Buffer.from(content)];
  const common = Buffer.alloc(26);
  common.writeUInt16LE(20, 0);
  common.writeUInt32LE(zipCrc(data), 10);
  common.writeUInt32LE(data.length, 14);
  common.writeUInt32LE(size, 18);
  common.writeUInt16LE(file.length, 22);
  const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, file, data]);
  const central = Buffer.alloc(14);
  central.writeUInt32LE((mode << 16) >>> 0, 6);
  const directory = Buffer.concat([
    Buffer.from('PK\x01\x02\x14\x03', 'latin1'),
    common,
    central.subarray(0, 4 + 12),
    file,
  ]);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, directory, end]);
}

const HOSTILE_ZIPS: [string, Buffer, RegExp][] = [
  ['a name that climbs', zip('../evil', 'x'), /cannot be unpacked/],
  ['an absolute name', zip('/tmp/evil', 'x'), /cannot be unpacked/],
  ['backslashes', zip('..\\evil', 'x'), /cannot be unpacked/],
  ['a link out', zip('l', '../../evil', { mode: 0o120777 }), /outside/],
  ['a device', zip('n', '', { mode: 0o020666 }), /special file/],
  ['a size that lies', zip('a', 'xxxx', { size: 2 }), /cannot be unpacked/],
  ['nothing in it', Buffer.from('PK'), /cannot be unpacked/],
];

for (const [what, bytes, expected] of HOSTILE_ZIPS) {
  t.test(`a zip is refused with ${what}`, async (t) => {
    const bench = new Bench(t);
    writeFileSync(join(bench.dir, 'a.zip'), bytes);
    await t.rejects(bench.unpack('a.zip'), expected);
  });
}

t.test('a bomb is stopped at the limit', async (t) => {
  const bench = new Bench(t);
  const zeros = Buffer.alloc(8 * 1024 * 1024);
  for (const command of ['gzip', 'bzip2', 'xz', 'zstd']) {
    const ending = { gzip: 'gz', bzip2: 'bz2', xz: 'xz', zstd: 'zst' }[command] as string;
    writeFileSync(join(bench.dir, 'bomb'), zeros);
    execFileSync(command, ['-q', '-f', join(bench.dir, 'bomb')]);
    await t.rejects(bench.unpack(`bomb.${ending}`), /unpacks to more than 1 MiB/, ending);
  }
});

t.test('no archive that a bit was changed in leads out or hangs', async (t) => {
  const bench = new Bench(t);
  await bench.tar('a.tar', [
    [{ name: 'app/file', mode: 0o644 }, 'content'],
    [{ name: 'app/link', type: 'symlink', linkname: 'file' }],
    [{ name: 'app/hard', type: 'link', linkname: 'app/file' }],
  ]);
  const whole = readFileSync(join(bench.dir, 'a.tar'));
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), async (at, byte, end) => {
      const changed = Buffer.from(whole);
      changed[at] = byte;
      writeFileSync(join(bench.dir, 'b.tar'), changed.subarray(0, end));
      await bench.unpack('b.tar').catch(() => {});
      await inspectTree(bench.root, { filesMax: 0, bytesMax: 0 });
      rmSync(bench.root, { recursive: true, force: true });
      mkdirSync(bench.root);
    }),
    { numRuns: 120, seed: 3 },
  );
  t.same(readdirSync(bench.dir).sort(), ['a.tar', 'b.tar', 'tree']);
});

t.test('a tree that came whole is inspected', async (t) => {
  const bench = new Bench(t);
  writeFileSync(bench.path('a'), '');
  execFileSync('ln', ['-s', 'a', bench.path('ok')]);
  await inspectTree(bench.root, LIMITS);
  execFileSync('ln', ['-s', '../x', bench.path('out')]);
  await t.rejects(inspectTree(bench.root, LIMITS), /outside/);
  rmSync(bench.path('out'));
  execFileSync('sh', ['-c', 'mkfifo "$0"', bench.path('pipe')]);
  await t.rejects(inspectTree(bench.root, LIMITS), /no file/);
});
