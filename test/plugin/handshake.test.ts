import { X509Certificate } from 'node:crypto';
import t from 'tap';
import { isKeyPair, makeKeyPair } from '../../lib/plugin/go-plugin/certificate.js';
import { handshakeEnv, NOMAD_PLUGIN, parseHandshake, SCALER_PLUGIN } from '../../lib/plugin/go-plugin/handshake.js';
import { LineSplitter, parseLogLine } from '../../lib/plugin/go-plugin/log-lines.js';
import { seededRandom } from '../../lib/util/random.js';

t.test('the first line of a plugin says where it is', async (t) => {
  t.same(parseHandshake('1|2|unix|/tmp/plugin1|grpc\n', NOMAD_PLUGIN), {
    ok: true,
    value: { network: 'unix', address: '/tmp/plugin1', protocolVersion: 2, certificate: null },
  });
  const certificate = 'MII'.repeat(40);
  const withCertificate = parseHandshake(`1|2|tcp|127.0.0.1:1234|grpc|${certificate}`, NOMAD_PLUGIN);
  t.equal(withCertificate.ok && withCertificate.value.certificate?.length, 90);
});

t.test('drivers and devices are started as Nomad starts them: for version 2, and without a certificate', async (t) => {
  t.same(handshakeEnv(NOMAD_PLUGIN, { certificatePem: 'ours' }), {
    NOMAD_PLUGIN_MAGIC_COOKIE: 'e4327c2e01eabfd75a8a67adb114fb34a757d57eee7728d857a8cec6e91a7255',
    PLUGIN_PROTOCOL_VERSIONS: '2',
    PLUGIN_MIN_PORT: '10000',
    PLUGIN_MAX_PORT: '25000',
  });
  t.match(handshakeEnv(SCALER_PLUGIN, { certificatePem: 'ours' }), { PLUGIN_CLIENT_CERT: 'ours' });
});

t.test('a line that is no handshake is refused with what it says', async (t) => {
  for (const [line, message] of [
    ['hello world', /printed "hello world" where a plugin says/],
    ['', /printed ""/],
    ['a|b|c|d|e', /printed "a\|b/],
    ['2|2|unix|/x|grpc', /version "2" of go-plugin's protocol, not 1/],
    ['1|1|unix|/x|grpc', /version "1" of the plugin protocol; this agent speaks 2/],
    ['1|2|unix|/x|netrpc', /speaks "netrpc"; only plugins that speak grpc/],
    ['1|2|unix|/x', /speaks "netrpc"/],
    ['1|2|carrier|/x|grpc', /not unix or tcp/],
    ['1|2|tcp|10.0.0.1:80|grpc', /not an address of the loopback/],
    ['1|2|tcp|127.0.0.1.evil.org:80|grpc', /not an address of the loopback/],
    ['1|2|unix|relative|grpc', /no absolute path/],
  ] as const) {
    const parsed = parseHandshake(line, NOMAD_PLUGIN);
    t.match(parsed.ok ? '' : parsed.error, message, line);
  }
});

t.test('no line makes the reader fail', async (t) => {
  const random = seededRandom(7);
  const letters = '1|unixtcp/gr:.\n\0ü{}"';
  for (let round = 0; round < 2000; round++) {
    const line = Array.from({ length: 40 }, () => letters[Math.floor(random.next() * letters.length)]).join('');
    parseHandshake(line, NOMAD_PLUGIN);
    parseLogLine(line);
  }
  t.pass();
});

t.test('a certificate made here is one: for localhost, for both sides, its own authority', async (t) => {
  for (const nowMs of [Date.now(), Date.UTC(2049, 11, 31), Date.UTC(2051, 0, 1)]) {
    const pair = makeKeyPair(nowMs);
    const certificate = new X509Certificate(pair.certificatePem);
    t.ok(certificate.verify(certificate.publicKey), 'it is signed by its own key');
    t.equal(certificate.checkHost('localhost'), 'localhost');
    t.ok(certificate.ca);
    t.same(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1']);
    t.ok(Date.parse(certificate.validFrom) < nowMs && Date.parse(certificate.validTo) > nowMs + 1e12 / 2);
    t.ok(isKeyPair(pair));
    t.notOk(isKeyPair({ ...pair, keyPem: makeKeyPair(nowMs).keyPem }));
  }
});

t.test('what a plugin logs keeps its level and its fields', async (t) => {
  t.same(
    parseLogLine('{"@level":"warn","@message":"slow","@module":"podman","@timestamp":"x","took":3,"of":{"a":1}}'),
    {
      level: 'warn',
      message: 'slow',
      fields: { module: 'podman', took: 3, of: '{"a":1}' },
    },
  );
  t.match(parseLogLine('2026-01-01T00:00:00.000Z [ERROR] no disk'), { level: 'error' });
  t.match(parseLogLine('panic: runtime error'), { level: 'error', message: 'panic: runtime error' });
  t.match(parseLogLine('{"@level":1}'), { level: 'info', message: '{"@level":1}' });
  t.match(parseLogLine('x'.repeat(100_000))?.message.length, 16_385);
  t.equal(parseLogLine('  '), null);
});

t.test('lines are put together from chunks, and an endless one is not kept for ever', async (t) => {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line));
  splitter.push('one\ntw');
  splitter.push('o\nthree');
  splitter.end();
  t.same(lines, ['one', 'two', 'three']);
  splitter.push('x'.repeat(20_000));
  t.equal(lines.length, 4);
});
