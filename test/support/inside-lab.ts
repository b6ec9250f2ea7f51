import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Parser, type Result } from 'tap-parser';
import { missingForLabs, Netlab } from './netlab.js';

const FLAG = 'MESHNOMAD_TEST_INSIDE_LAB';
/** By hand: whatever is said inside, as it is said. */
const SHOW = 'MESHNOMAD_TEST_SHOW';

/** Where a test finds itself in its lab, and a neighbour who sees it from outside. */
export interface LabPlace {
  /** Unique among all tests that run at the same time. */
  readonly name: string;
  readonly address: string;
  /** The command that runs a program on the neighbour. */
  readonly outside: readonly string[];
}

/**
 * Runs the tests of a file on a host of a lab: they may change its firewall, interfaces and namespaces as they like, and
 * the machine's own stay as they are. Mounts made there are seen nowhere else.
 */
export function insideLab(url: string, tests: (place: LabPlace) => void, timeoutMs = 240_000): void {
  const flag = process.env[FLAG];
  if (flag !== undefined) {
    tests(JSON.parse(flag) as LabPlace);
    return;
  }
  const missing = missingForLabs() ?? (existsSync('/usr/lib/cni/bridge') ? undefined : 'there are no CNI plugins');
  t.test('in a network of its own', { skip: missing ?? false, timeout: timeoutMs }, async (t) => {
    const lab = await Netlab.open({ lan: 2 });
    const name = `mt${process.pid}`;
    t.teardown(async () => {
      await lab.close();
      rmSync(`/run/meshnomad/ipam/${name}`, { recursive: true, force: true });
    });
    const outside = ['nsenter', `--net=${lab.path('lan2')}`];
    const place: LabPlace = { name, address: lab.address('lan1'), outside };
    // Not `ip netns exec`, which puts another /sys in place, without control groups.
    const enter = ['--mount', '--propagation', 'slave', 'nsenter', `--net=${lab.path('lan1')}`];
    const child = spawn('unshare', [...enter, process.execPath, '--enable-source-maps', fileURLToPath(url)], {
      env: { ...process.env, [FLAG]: JSON.stringify(place), TAP: '1' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.teardown(() => child.kill('SIGKILL'));
    const parser = new Parser();
    let passed = 0;
    listen(parser, [], ({ ok, name, diag }) => {
      if (ok) passed++;
      else t.fail(`${name} ${JSON.stringify(diag)}`);
    });
    if (process.env[SHOW] === '1') child.stdout.pipe(process.stderr);
    child.stdout.pipe(parser);
    const [code] = await once(child, 'close');
    t.equal(code, 0, 'the tests inside ended well');
    t.ok(passed > 0, `${passed} facts hold inside`);
  });
}

/** Hears every single fact, under the names of the tests that it is in. */
function listen(
  parser: Parser,
  path: string[],
  hear: (result: { ok: boolean; name: string; diag: unknown }) => void,
): void {
  parser.on('child', (child: Parser) => listen(child, [...path, child.name], hear));
  parser.on('assert', ({ ok, name, diag }: Result) => hear({ ok, name: [...path, name].join(' › '), diag }));
}
