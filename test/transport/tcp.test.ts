import { once } from 'node:events';
import { connect } from 'node:net';
import t from 'tap';
import type { Link } from '../../lib/transport/link.js';
import { dialLink, listenLinks, parseAddress } from '../../lib/transport/tcp.js';

const nothing = { handlers: {}, streamHandlers: {} };

t.test('two agents with one secret may talk, one without gets nothing', async (t) => {
  const opened: Link[] = [];
  const listener = await listenLinks({
    host: '127.0.0.1',
    port: 0,
    secret: 'right',
    accept: () => ({
      options: { handlers: { 'Status.Leader': async () => ({ Leader: 'me' }) }, streamHandlers: {} },
      opened: (link) => opened.push(link),
    }),
  });
  t.teardown(() => listener.close());
  const at = { host: '127.0.0.1', port: listener.port };
  const link = await dialLink({ ...at, secret: 'right', link: nothing });
  t.same(await link.call('Status.Leader', {}), { Leader: 'me' });
  t.equal(opened.length, 1);

  await t.rejects(dialLink({ ...at, secret: 'wrong', link: nothing }), {
    code: 'E_TIMEOUT',
    message: /another secret/,
  });
  const plain = connect(listener.port, '127.0.0.1');
  plain.on('error', () => {});
  plain.write('GET / HTTP/1.1\r\n\r\n');
  plain.resume();
  await once(plain, 'close');
  t.equal(opened.length, 1, 'no stream was opened for either of them');
  link.close('test over');
});

t.test('beyond this machine a secret is a must', async (t) => {
  await t.rejects(dialLink({ host: '10.0.0.1', port: 1, secret: '', link: nothing }), { message: /need a secret/ });
  await t.rejects(
    listenLinks({ host: '0.0.0.0', port: 0, secret: '', accept: () => ({ options: nothing, opened: () => {} }) }),
    {
      message: /need a secret/,
    },
  );
});

t.test('a port in use is told with what to change', async (t) => {
  const accept = () => ({ options: nothing, opened: () => {} });
  const listener = await listenLinks({ host: '127.0.0.1', port: 0, secret: '', accept });
  t.teardown(() => listener.close());
  await t.rejects(listenLinks({ host: '127.0.0.1', port: listener.port, secret: '', accept }), {
    message: /in use: choose another/,
  });
});

t.test('addresses are read in all their forms', async (t) => {
  t.same(parseAddress('a.lan:1', 9), { host: 'a.lan', port: 1 });
  t.same(parseAddress('a.lan', 9), { host: 'a.lan', port: 9 });
  t.same(parseAddress('[::1]:2', 9), { host: '::1', port: 2 });
  t.same(parseAddress('fe80::1', 9), { host: 'fe80::1', port: 9 });
  t.equal(parseAddress('a:99999', 9), undefined);
  t.equal(parseAddress('a:b', 9), undefined);
});
