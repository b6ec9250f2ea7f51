import { constants, createHash, generateKeyPairSync, publicEncrypt } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t from 'tap';
import { cliFunctions } from '../../lib/cli/hcl-host.js';
import { bcrypt } from '../../lib/hcl/functions/bcrypt.js';
import { diagnosticLine, evaluate, jsonEncode, parseExpression } from '../../lib/hcl/index.js';

function filesOf(t: { teardown(end: () => void): void }, files: Record<string, string | Buffer>): string {
  const folder = mkdtempSync(join(tmpdir(), 'hcl-host-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

function run(source: string, folder: string): string {
  const { expression } = parseExpression(source, 'e');
  const { value, diagnostics } = evaluate(expression, { functions: cliFunctions(folder), variables: new Map() });
  return diagnostics[0] ? diagnosticLine(diagnostics[0]) : jsonEncode(value);
}

t.test('files are read, asked after and listed', async (t) => {
  const folder = filesOf(t, {
    'a.txt': 'héllo\n',
    'b.bin': Buffer.from([0xff, 0x00]),
    'sub/c.txt': 'c',
    'sub/d.hcl': 'd',
    'sub/deep/e.txt': 'e',
    'greet.tpl': 'Hello ${name}!%{ for x in list ~}\n- ${upper(x)}\n%{ endfor ~}\n\n',
    'wrong.tpl': 'a\n${nope}\n',
    'outer.tpl': '[${templatefile("greet.tpl", { name = "x", list = [] })}]',
    'self.tpl': '${templatefile("self.tpl", {})}',
  });
  symlinkSync(folder, join(folder, 'sub', 'circle'));
  const cases: Record<string, string> = {
    'file("a.txt")': '"héllo\\n"',
    [`file("${folder}/a.txt")`]: '"héllo\\n"',
    'file("nope")': `e:1,1-6: Error in function call; Call to function "file" failed: no file exists at ${folder}/nope.`,
    'file("sub")': `e:1,1-6: Error in function call; Call to function "file" failed: failed to read ${folder}/sub.`,
    'filebase64("b.bin")': '"/wA="',
    'fileexists("a.txt")': 'true',
    'fileexists("nope")': 'false',
    'fileset(".", "*.txt")': '["a.txt"]',
    'fileset(".", "**/*.txt")': '["a.txt","sub/c.txt","sub/deep/e.txt"]',
    'fileset("sub", "{c,d}.*")': '["c.txt","d.hcl"]',
    'fileset("sub", "[!c]*")': '["d.hcl"]',
    'fileset("nope", "*")': '[]',
    'abspath("x/../a.txt")': JSON.stringify(join(process.cwd(), 'a.txt')),
    'basename("/x/y.z/")': '"y.z"',
    'basename("")': '"."',
    'dirname("/x/y/z")': '"/x/y"',
    'dirname("x")': '"."',
    'pathexpand("~/x")': JSON.stringify(join(homedir(), 'x')),
    'pathexpand("x")': '"x"',
    'templatefile("greet.tpl", { name = "you", list = ["a", "b"] })': '"Hello you!- A\\n- B\\n\\n"',
    'templatefile("outer.tpl", {})': '"[Hello x!\\n]"',
  };
  for (const [source, expected] of Object.entries(cases)) t.equal(run(source, folder), expected, source);
  t.match(run('file("b.bin")', folder), /contents of b\.bin are not valid UTF-8/);
  t.match(run('fileexists("sub")', folder), /is not a regular file/);
  t.match(run('templatefile("wrong.tpl", {})', folder), /wrong\.tpl:2,3: Unknown variable/);
  t.match(run('templatefile("self.tpl", {})', folder), /include each other too deep/);
  mkdirSync(join(folder, 'more'));
  writeFileSync(join(folder, 'more', 'x'), '');
  t.equal(run('fileset("more", "*")', folder), '["x"]');
});

t.test('chance gives UUIDs and salts, other ones each time', async (t) => {
  const uuid = /^"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"$/;
  t.match(run('uuidv4()', '.'), uuid);
  t.not(run('uuidv4()', '.'), run('uuidv4()', '.'));
  t.match(run('bcrypt("x", 4)', '.'), /^"\$2a\$04\$[./A-Za-z0-9]{53}"$/);
  t.match(run('bcrypt("x", 15)', '.'), /takes too long/);
});

t.test('bcrypt is the one that everybody has', async (t) => {
  // The alphabet of its own base64, to read the salt of a known hash.
  const alphabet = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  const known = '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW';
  const bits = [...known.slice(7, 29)].map((c) => alphabet.indexOf(c).toString(2).padStart(6, '0')).join('');
  const salt = Uint8Array.from({ length: 16 }, (_, i) => Number.parseInt(bits.slice(i * 8, i * 8 + 8), 2));
  t.equal(bcrypt(new TextEncoder().encode('U*U'), salt, 5), known);
});

t.test('hashes are those of the platform', async (t) => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 111, 112, 127, 128, 200]) {
    const text = 'é'.repeat(length);
    for (const name of ['md5', 'sha1', 'sha256', 'sha512']) {
      const expected = createHash(name).update(text).digest('hex');
      t.equal(run(`${name}("${text}")`, '.'), `"${expected}"`, `${name} of ${length} letters`);
    }
  }
});

t.test('rsadecrypt reads what was encrypted for its key', async (t) => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const pem = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
  const encrypted = publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, Buffer.from('sécret'));
  const folder = filesOf(t, { key: pem });
  t.equal(run(`rsadecrypt("${encrypted.toString('base64')}", file("key"))`, folder), '"sécret"');
  t.match(run(`rsadecrypt("${Buffer.alloc(128, 1).toString('base64')}", file("key"))`, folder), /decryption error/);
});
