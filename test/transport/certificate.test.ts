import t from 'tap';
import type { CertificateClaims } from '../../lib/structs/mesh.js';
import { CHAIN_MAX, issue, nodeIdOf, verifyChain } from '../../lib/transport/certificate.js';
import { seededRandom } from '../../lib/util/random.js';
import { claims, DAY_MS, NOW, newKey, smallMesh } from './mesh-world.js';

t.test('a chain from the root says who its holder is', async (t) => {
  const { mesh, admit, founder } = smallMesh();
  const node = newKey();
  const judged = verifyChain(admit(node, { Name: 'pi', Tags: { rack: 'attic' } }), {
    mesh,
    key: node.publicKey,
    nowMs: NOW,
  });
  if (!judged.ok) throw judged.error;
  t.equal(judged.value.claims.Name, 'pi');
  t.strictSame(judged.value.claims.Tags, { rack: 'attic' });
  t.notOk(judged.value.expired);
  t.strictSame(judged.value.keys, [node.publicKey, founder.publicKey]);
});

t.test('an expired certificate is known as one, and one from the future is good', async (t) => {
  const { mesh, admit } = smallMesh();
  const node = newKey();
  const at = (nowMs: number) => verifyChain(admit(node), { mesh, key: node.publicKey, nowMs });
  const cases: [number, boolean][] = [
    [0, false],
    [NOW - DAY_MS, false],
    [NOW + 30 * DAY_MS, false],
    [NOW + 30 * DAY_MS + 1, true],
  ];
  for (const [nowMs, expired] of cases) {
    const judged = at(nowMs);
    t.ok(judged.ok && judged.value.expired === expired, `${nowMs}`);
  }
});

t.test('what a certificate may not be', async (t) => {
  const { mesh, admit, founder, founderChain, root } = smallMesh();
  const other = smallMesh();
  const node = newKey();
  const good = admit(node);
  const client = newKey();
  const clientChain = admit(client);
  const signed = (by: typeof node, changes: Partial<CertificateClaims> = {}) =>
    issue(claims(mesh, node.publicKey, by.publicKey, changes), by);
  const [payload, signature] = (good[0] as string).split('.') as [string, string];
  const cases: [string, unknown, RegExp][] = [
    ['nothing', [], /1 to/],
    ['no list', 'mn1', /1 to/],
    ['a list of something else', [{}], /cannot be read/],
    ['too long', Array(CHAIN_MAX + 1).fill(good[0]), /1 to/],
    ['one of another mesh', other.admit(node), /another mesh/],
    ['one whose chain ends too early', [good[0]], /end at the root/],
    ['one that the node signed itself', [signed(node), ...founderChain], /gap/],
    ['one signed by a client', [signed(client), ...clientChain], /may admit nobody/],
    ['one for another key', admit(client), /another key/],
    ['one that outlasts its issuer', [signed(founder, { NotAfter: NOW + 4000 * DAY_MS }), ...founderChain], /outlasts/],
    ['a client as an issuer', [signed(founder, { Issuer: true }), ...founderChain], /no server/],
    ['a gap in the chain', [signed(root), ...founderChain], /gap/],
    ['another signature', [`${payload}.${signature.slice(0, -4)}AAAA`, good[1]], /cannot be read/],
    ['no signature', [payload, good[1]], /cannot be read/],
    ['a version that nobody knows', [signed(founder, { Version: 2 as 1 }), ...founderChain], /cannot be read/],
    ['a role that nobody knows', [signed(founder, { Role: 'king' as 'client' }), ...founderChain], /cannot be read/],
    ['an end before its beginning', [signed(founder, { NotAfter: NOW - 1 }), ...founderChain], /cannot be read/],
  ];
  for (const [what, chain, message] of cases) {
    const judged = verifyChain(chain, { mesh, key: node.publicKey, nowMs: NOW });
    t.match(judged.ok ? 'good' : judged.error.message, message, what);
  }
});

t.test('a tombstone wins over the certificate of its key, and over those it signed', async (t) => {
  const { mesh, admit, founder } = smallMesh();
  const node = newKey();
  const judge = (buried: string) =>
    verifyChain(admit(node), { mesh, key: node.publicKey, nowMs: NOW, isBuried: (key) => key === buried });
  const own = judge(node.publicKey);
  t.match(own.ok ? '' : own.error.message, /nas was revoked/);
  const through = judge(founder.publicKey);
  t.match(through.ok ? '' : through.error.message, /by way of founder, which was revoked/);
  t.ok(judge(newKey().publicKey).ok);
});

t.test('no change of a single character passes, and none of garbage crashes', async (t) => {
  const { mesh, admit } = smallMesh();
  const node = newKey();
  const chain = admit(node);
  const random = seededRandom(11);
  const letters = 'ABCabc019-_.{"é';
  for (let i = 0; i < 400; i++) {
    const which = Math.floor(random.next() * 2);
    const text = chain[which] as string;
    const at = Math.floor(random.next() * text.length);
    const letter = letters[Math.floor(random.next() * letters.length)] as string;
    if (text[at] === letter) continue;
    const changed = chain.with(which, text.slice(0, at) + letter + text.slice(at + 1));
    const judged = verifyChain(changed, { mesh, key: node.publicKey, nowMs: NOW });
    // The last character of base64 has bits that mean nothing.
    const harmless = at === text.length - 1 || text[at + 1] === '.';
    if (!harmless) t.notOk(judged.ok, `${at} of ${which}`);
    verifyChain([text.slice(0, at)], { mesh, nowMs: NOW });
  }
});

t.test('the id of a node derives from its key alone, and is a UUID', async (t) => {
  const key = 'ab'.repeat(32);
  t.equal(nodeIdOf(key), nodeIdOf(key));
  t.match(nodeIdOf(key), /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  t.not(nodeIdOf(key), nodeIdOf('ac'.repeat(32)));
});
