import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Attachment, CniError, CniRuntime } from '../../lib/client/network/cni.js';
import type { NetworkList } from '../../lib/client/network/conflist.js';

const AT: Attachment = {
  containerId: 'alloc-1',
  netnsPath: '/run/netns/x',
  ifName: 'eth0',
  args: { IP: '10.0.0.7' },
  portMappings: [],
};

/** Plugins that write down how they were called and then do what `scripts` say, by name. */
function plugins(t: Test, scripts: Record<string, string>): { list: NetworkList; log: () => string[]; path: string[] } {
  const dir = mkdtempSync(join(tmpdir(), 'meshnomad-cni-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  // Searched in this order: the second directory's `one` is never called.
  const path = [join(dir, 'a'), join(dir, 'b')];
  for (const one of path) mkdirSync(one);
  const write = (file: string, script: string): void => {
    const head = `#!/bin/sh\ninput=$(cat)\necho "$CNI_COMMAND ${file.split('/').at(-1)} $CNI_CONTAINERID $CNI_NETNS $CNI_IFNAME $CNI_ARGS $input" >> ${dir}/log\n`;
    writeFileSync(file, head + script);
    chmodSync(file, 0o755);
  };
  for (const [name, script] of Object.entries(scripts)) write(join(dir, 'a', name), script);
  write(join(dir, 'b', 'one'), 'exit 9\n');
  const list = {
    cniVersion: '1.0.0',
    name: 'net',
    disableCheck: false,
    plugins: Object.keys(scripts).map((type) => ({ type, own: type })),
  };
  return { list, path, log: () => readFileSync(join(dir, 'log'), 'utf8').trim().split('\n') };
}

function short(lines: string[]): string[] {
  return lines.map((line) => line.split(' ').slice(0, 2).join(' '));
}

t.test(
  'plugins are called in order, each with the result of the one before; and back to front to detach',
  async (t) => {
    const { list, log, path } = plugins(t, {
      one: 'echo \'{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.7/24"}]}\'\n',
      two: 'echo \'{"cniVersion":"1.0.0","ips":[],"two":true}\'\n',
      three: '',
    });
    const runtime = new CniRuntime(path);
    const result = await runtime.add(list, AT);
    t.match(result, { two: true }, 'a plugin that says nothing changes nothing');
    const [one, two, three] = log();
    t.equal(
      one,
      'ADD one alloc-1 /run/netns/x eth0 IgnoreUnknown=1;IP=10.0.0.7 {"type":"one","own":"one","cniVersion":"1.0.0","name":"net"}',
    );
    t.match(two, /"prevResult":\{"cniVersion":"1\.0\.0","ips":\[\{"address":"10\.0\.0\.7\/24"\}\]\}\}$/);
    t.match(three, /"two":true/);
    t.equal(await runtime.check(list, AT, result), null);
    await runtime.addAgain(list, ['two'], AT, result);
    await runtime.remove(list, { ...AT, netnsPath: '' }, result);
    t.same(short(log().slice(3)), [
      'CHECK one',
      'CHECK two',
      'CHECK three',
      'ADD two',
      'DEL three',
      'DEL two',
      'DEL one',
    ]);
    t.match(log().at(-1), /^DEL one alloc-1 {2}eth0 .*"two":true/, 'without a namespace, and with the result');
  },
);

t.test('what was done until a plugin failed is undone, and its words are told', async (t) => {
  const { list, log, path } = plugins(t, {
    one: '',
    two: '[ $CNI_COMMAND = DEL ] || { echo \'{"code":7,"msg":"no address","details":"range is full"}\'; exit 1; }\n',
    three: '',
  });
  await t.rejects(new CniRuntime(path).add(list, AT), {
    name: 'CniError',
    message: 'CNI plugin "two": no address: range is full (code 7)',
  });
  t.same(short(log()), ['ADD one', 'ADD two', 'DEL three', 'DEL two', 'DEL one']);
});

t.test('a failure does not keep the others from being detached', async (t) => {
  const { list, log, path } = plugins(t, { one: '', two: 'echo oh >&2; exit 3\n', three: 'kill -9 $$\n' });
  await t.rejects(new CniRuntime(path).remove(list, AT, null), /CNI plugin "three": DEL ended with a signal/);
  t.same(short(log()), ['DEL three', 'DEL two', 'DEL one']);
});

t.test('a plugin that does not keep to the protocol is told from one that does', async (t) => {
  // Only who hangs is to be given up: a busy machine is slow to start a shell.
  const cases: [script: string, message: RegExp, timeoutMs?: number][] = [
    ['echo hello\n', /answered with what is no JSON object: hello/],
    ['echo "[1]"\n', /no JSON object/],
    ['echo oh no >&2; exit 3\n', /"one": oh no/],
    ['exit 4\n', /ADD ended with 4/],
    ['[ $CNI_COMMAND = DEL ] || sleep 60\n', /did not end within 0\.3 s/, 300],
    ['head -c 9000000 /dev/zero\n', /no JSON object/],
  ];
  for (const [script, message, timeoutMs = 60_000] of cases) {
    const { list, path } = plugins(t, { one: script });
    await t.rejects(new CniRuntime(path, timeoutMs).add(list, AT), message, script);
  }
});

t.test('what cannot be asked has no complaint, and a complaint is no failure', async (t) => {
  const { list, path, log } = plugins(t, {
    one: '[ $CNI_COMMAND != CHECK ] || { echo \'{"msg":"it is gone"}\'; exit 1; }\n',
  });
  const runtime = new CniRuntime(path);
  t.match(await runtime.check(list, AT, {}), new CniError('one', 'it is gone'));
  t.equal(await runtime.check({ ...list, disableCheck: true }, AT, {}), null);
  t.equal(await runtime.check({ ...list, cniVersion: '0.3.1' }, AT, {}), null);
  t.same(short(log()), ['CHECK one']);
  t.match(
    (await runtime.check({ ...list, plugins: [{ type: 'nowhere' }] }, AT, {}))?.message,
    /is not installed in .*\/a, .*\/b/,
  );
});
