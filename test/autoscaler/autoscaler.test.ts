import t, { type Test } from 'tap';
import { createAutoscalerMetrics } from '../../lib/agent/autoscaler-metrics.js';
import { type Autoscaler, startAutoscaler } from '../../lib/autoscaler/index.js';
import type { ScalerSet } from '../../lib/plugin/scalers.js';
import { type Apm, ScalingNoOp, type Strategy, type Target } from '../../lib/plugin/sdk/autoscaler.js';
import type { ScalingAction } from '../../lib/structs/autoscaling.js';
import type { ScalingPolicy } from '../../lib/structs/job.js';
import type { RpcCaller } from '../../lib/transport/rpc.js';
import { silentLog } from '../../lib/util/log.js';
import { until } from '../client/fakes.js';

const policy = (fields: Partial<ScalingPolicy> = {}, more: Record<string, unknown> = {}): ScalingPolicy => ({
  ID: 'p1',
  Type: 'horizontal',
  Target: { Namespace: 'default', Job: 'web', Group: 'g' },
  Min: 1,
  Max: 10,
  Policy: {
    evaluation_interval: '1s',
    check: [{ load: [{ source: 'apm', query: 'q', strategy: [{ plan: [{}] }] }] }],
    ...more,
  },
  Enabled: true,
  CreateIndex: 1,
  ModifyIndex: 1,
  ...fields,
});

/** Servers that have these policies, and say so again when they change. */
class Servers implements RpcCaller {
  policies: ScalingPolicy[] = [];
  index = 1;
  private waiting: (() => void)[] = [];

  set(...policies: ScalingPolicy[]): void {
    this.policies = policies;
    this.index++;
    for (const go of this.waiting.splice(0)) go();
  }

  async call(method: string, args: Record<string, unknown>, options: { signal?: AbortSignal } = {}): Promise<never> {
    if (method === 'Scaling.GetPolicy') {
      const found = this.policies.find(({ ID }) => ID === args['ID']);
      return { Policy: found ? { ...found, Namespace: 'default' } : null } as never;
    }
    if (this.index <= (args['MinQueryIndex'] as number)) {
      await new Promise<void>((resolve, reject) => {
        this.waiting.push(resolve);
        options.signal?.addEventListener('abort', () => reject(new Error('aborted')));
      });
    }
    return { Policies: this.policies, Index: this.index } as never;
  }

  stream(): never {
    throw new Error('no streams');
  }
}

/** Plugins that do what a test says. */
class Plugins implements ScalerSet {
  count = 2;
  wanted = 2;
  meta: Record<string, string> = {};
  readonly scaled: ScalingAction[] = [];
  query: Apm['query'] = async () => [{ timestampMs: 0, value: 1 }];
  enact: (action: ScalingAction) => Promise<void> = async (action) => {
    this.count = action.count;
  };

  problem(kind: string, name: string): string | undefined {
    return kind === 'apm' && name !== 'apm' ? `there is no apm plugin "${name}"` : undefined;
  }

  async apm(name: string): Promise<Apm> {
    if (name !== 'apm') throw new Error(`there is no apm plugin "${name}"`);
    const query: Apm['query'] = (...args) => this.query(...args);
    return { name, query, queryMultiple: async () => [], close: async () => {} };
  }

  async strategy(): Promise<Strategy> {
    const run: Strategy['run'] = async ({ count }) => {
      const direction = this.wanted > count ? 'up' : this.wanted < count ? 'down' : 'none';
      return { count: this.wanted, direction, reason: 'as planned', error: false, meta: {} };
    };
    return { name: 'plan', run, close: async () => {} };
  }

  async target(): Promise<Target> {
    return {
      name: 'nomad-target',
      status: async () => ({ ready: true, count: this.count, meta: this.meta }),
      scale: async (action, _config, { tell }) => {
        this.scaled.push(action);
        tell(`to ${action.count}`);
        await this.enact(action);
      },
      close: async () => {},
    };
  }

  async close(): Promise<void> {}
}

function world(t: Test): {
  servers: Servers;
  plugins: Plugins;
  autoscaler: Autoscaler;
  tell: () => ReturnType<Autoscaler['standing']>[0] | undefined;
  figures: () => Record<string, number>;
} {
  const servers = new Servers();
  const plugins = new Plugins();
  const metrics = createAutoscalerMetrics();
  const autoscaler = startAutoscaler({
    rpc: servers,
    scalers: plugins,
    now: () => Date.now(),
    log: silentLog,
    onReport: metrics.count,
  });
  t.teardown(() => autoscaler.stop());
  const figures = (): Record<string, number> =>
    Object.fromEntries(
      metrics
        .points(autoscaler.standing())
        .map(({ name, labels, value }) => [[name, ...Object.values(labels)].join(' '), value]),
    );
  return { servers, plugins, autoscaler, tell: () => autoscaler.standing()[0], figures };
}

t.test('a policy is followed: evaluated, scaled, said why; one that is gone is forgotten', async (t) => {
  const { servers, plugins, autoscaler, tell } = world(t);
  plugins.wanted = 5;
  servers.set(policy());
  await until(() => tell()?.Last?.Result === 'done', 'it is scaled');
  t.equal(plugins.count, 5);
  t.match(tell(), { State: 'idle', Last: { Reason: 'as planned', Action: { count: 5 }, Checks: [{ Name: 'load' }] } });
  servers.set();
  await until(() => autoscaler.standing().length === 0, 'it is gone');
});

t.test('a malformed new version is named, and the last good one stays in force', async (t) => {
  const { servers, plugins, tell } = world(t);
  servers.set(policy());
  await until(() => tell()?.Last !== null && tell() !== undefined, 'it is evaluated');
  servers.set(policy({ Max: 20 }, { cooldown: 'soon' }));
  await until(() => (tell()?.Problems.length ?? 0) > 0, 'its mistake is told');
  t.match(tell()?.Problems[0], /cooldown is no duration/);
  plugins.wanted = 15;
  await until(() => plugins.count === 15, 'the last good one acts, within the bounds of now');
  servers.set(policy({ Enabled: false }, { cooldown: 'soon' }));
  await until(() => tell()?.State === 'disabled', 'what is switched off is off');
});

t.test('files of policies are replaced as a whole; one that broke is told of by its path', async (t) => {
  const { autoscaler } = world(t);
  const broken = [{ file: '/p/b.hcl', why: '/p/b.hcl:1,2: Unclosed\n/p/b.hcl:3,3: Unknown argument' }];
  autoscaler.replaceFiles({ policies: [policy({ ID: 'a' })], broken });
  t.match(autoscaler.standing(), [
    { ID: 'a', State: /idle|evaluating/ },
    { ID: '/p/b.hcl', Type: 'file', State: 'invalid', Problems: [/Unclosed/, /Unknown argument/] },
  ]);
  autoscaler.replaceFiles({ policies: [], broken: [] });
  t.same(autoscaler.standing(), []);
});

t.test('a plugin that hangs or fails is said, and holds up nothing else', async (t) => {
  const { servers, plugins, autoscaler } = world(t);
  const hang = policy({ ID: 'hang' });
  const fine = policy({ ID: 'fine' });
  let hanging = true;
  plugins.wanted = 3;
  plugins.query = async () => (hanging ? new Promise(() => {}) : [{ timestampMs: 0, value: 1 }]);
  servers.set(
    hang,
    policy({ ID: 'none' }, { check: { a: { source: 'missing', query: 'q', strategy: { plan: {} } } } }),
    fine,
  );
  const of = (id: string) => autoscaler.standing().find(({ ID }) => ID === id);
  await until(() => of('hang')?.Last != null && of('none')?.Last != null, 'both came to an end');
  t.match(of('hang')?.Last?.Checks[0]?.Result, /no answer in time/);
  t.match(of('none')?.Last?.Reason, /there is no apm plugin "missing"/);
  t.same(of('none')?.Problems, ['check "a".source cannot be used: there is no apm plugin "missing"']);
  t.same(of('hang')?.Problems, []);
  hanging = false;
  await until(() => of('fine')?.Last?.Result === 'done' || of('hang')?.Last?.Result === 'done', 'then it works');
});

t.test('a target that had nothing to do begins no cooldown; a dry run is told once in a cooldown', async (t) => {
  const { servers, plugins, tell } = world(t);
  plugins.wanted = 4;
  plugins.enact = async () => {
    throw new ScalingNoOp('a deployment is under way');
  };
  servers.set(policy());
  await until(() => tell()?.Last?.Result === 'no-op', 'a no-op');
  t.equal(tell()?.CooldownUntilMs, 0);
  plugins.enact = async () => {};
  servers.set(policy({ Target: { Job: 'web', Group: 'g', 'dry-run': 'true' } }));
  await until(() => /dry run: would scale to 4/.test(tell()?.Last?.Reason ?? ''), 'it is told');
  t.same([plugins.scaled.at(-1)?.count, tell()?.Last?.Result], [-1, 'no-op'], 'the target only hears of it');
  await until(() => tell()?.Last?.Result === 'cooldown', 'it waits as if it had been done');
  t.equal(plugins.scaled.filter(({ count }) => count === -1).length, 1);
  t.equal(plugins.count, 2);
});

t.test('once it is stopped nothing is scaled any more', async (t) => {
  const { servers, plugins, autoscaler } = world(t);
  let answer: () => void = () => {};
  plugins.query = () => new Promise((resolve) => (answer = () => resolve([{ timestampMs: 0, value: 1 }])));
  plugins.wanted = 9;
  servers.set(policy());
  await until(() => autoscaler.standing()[0]?.State === 'evaluating', 'it is being evaluated');
  await autoscaler.stop();
  answer();
  await new Promise((resolve) => setImmediate(resolve));
  t.same(plugins.scaled, []);
});

t.test('its figures: policies by state, evaluations, actions by what became of them', async (t) => {
  const { servers, plugins, tell, figures } = world(t);
  t.match(figures(), { 'nomad-autoscaler.policy.total_num': 0, 'nomad-autoscaler.scale.evaluate_ms_count': 0 });
  plugins.wanted = 5;
  plugins.meta = { asleep: '2', saved_wh: '12.5' };
  const fails: (() => Error)[] = [() => new Error('out of order'), () => new ScalingNoOp('not now')];
  plugins.enact = async ({ count }) => {
    const fail = fails.shift();
    if (fail) throw fail();
    plugins.count = count;
  };
  servers.set(policy(), policy({ ID: 'off', Enabled: false }), policy({ ID: 'bad' }, { cooldown: 'soon' }));
  await until(() => tell()?.Last?.Result === 'done', 'it is scaled at last');
  t.match(figures(), {
    'nomad-autoscaler.policy.total_num': 3,
    'nomad-autoscaler.policy.state_num idle': 1,
    'nomad-autoscaler.policy.state_num disabled': 1,
    'nomad-autoscaler.policy.state_num invalid': 1,
    'nomad-autoscaler.scale.invoke.error_count nomad-target up': 1,
    'nomad-autoscaler.scale.invoke.noop_count nomad-target up': 1,
    'nomad-autoscaler.scale.invoke.success_count nomad-target up': 1,
    'nomad-autoscaler.scale.invoke_ms_count': 3,
    'nomad-autoscaler.power.asleep_num': 2,
    'nomad-autoscaler.power.saved_wh': 12.5,
  });
  t.ok((figures()['nomad-autoscaler.scale.evaluate_ms_count'] ?? 0) >= 3);
  t.ok((figures()['nomad-autoscaler.scale.evaluate_ms_sum'] ?? 0) > 0);
});

t.test('what a target tells is kept with its policy', async (t) => {
  const { servers, plugins, tell } = world(t);
  plugins.wanted = 5;
  servers.set(policy());
  await until(() => tell()?.Last?.Result === 'done', 'it is scaled');
  t.match(tell()?.Notes, [{ Seq: 1, Text: 'to 5' }]);
  servers.set();
  await until(() => tell() === undefined, 'it is gone');
  servers.set(policy());
  await until(() => tell() !== undefined, 'it is back');
  t.same(tell()?.Notes, [], 'with its notes of then forgotten');
});
