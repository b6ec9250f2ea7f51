import t, { type Test } from 'tap';
import type { DevicePlugin, DeviceProvider } from '../../lib/plugin/sdk/device.js';

/** What the suite needs to know of a device plugin: a config under which it finds something. */
export interface DeviceUnderTest {
  plugin: DevicePlugin;
  /** Called for each fact: lays out what there is to be found. */
  config: (t: Test) => Record<string, unknown>;
  /** A misspelt key of the config and the right one. */
  misspelt: { wrong: string; right: string };
}

/** Runs the facts that hold of every device plugin. */
export function deviceConformance(name: string, under: DeviceUnderTest): void {
  const fact = (text: string, check: (t: Test, provider: DeviceProvider) => Promise<void>): void => {
    t.test(`${name}: ${text}`, async (t) => {
      const provider = under.plugin.create({ config: under.config(t), stateDir: '/nowhere', log: () => {} });
      t.teardown(() => provider.close());
      await check(t, provider);
    });
  };

  t.test(`${name}: an unknown key of the config is refused with the nearest known one`, async (t) => {
    const { wrong, right } = under.misspelt;
    const [problem] = under.plugin.configProblems({ [wrong]: [] });
    t.match(problem, { path: wrong, message: `did you mean "${right}"` });
    t.same(under.plugin.configProblems(under.config(t)), []);
  });

  fact('what it finds has a vendor, a type, a name and ids of its own', async (t, provider) => {
    t.equal(provider.name, under.plugin.name);
    t.ok(provider.periodMs > 0);
    const groups = await provider.fingerprint();
    t.ok(groups.length > 0);
    const keys = groups.map(({ Vendor, Type, Name }) => `${Vendor}/${Type}/${Name}`);
    t.equal(new Set(keys).size, keys.length, 'a kind is told once');
    for (const { Vendor, Type, Name, Instances } of groups) {
      // Job files write vendor/type/name: only the name may hold a slash.
      t.match(Vendor, /^[^/]+$/);
      t.match(Type, /^[^/]+$/);
      t.not(Name, '');
      t.ok(Instances.length > 0);
    }
    const ids = groups.flatMap(({ Instances }) => Instances.map(({ ID }) => ID));
    t.equal(new Set(ids).size, ids.length);
    t.not(ids.includes(''), true);
  });

  fact('it says the same as long as nothing changes', async (t, provider) => {
    t.same(await provider.fingerprint(), await provider.fingerprint());
  });

  fact('a task that starts while it looks again gets its device', async (t, provider) => {
    const id = (await provider.fingerprint())[0]?.Instances[0]?.ID ?? '';
    const look = provider.fingerprint();
    await t.resolves(provider.reserve([id]));
    await look;
  });

  fact('attributes have one value each', async (t, provider) => {
    for (const { Attributes } of await provider.fingerprint()) {
      for (const [key, { Bool, Int, Float, String: text }] of Object.entries(Attributes ?? {})) {
        t.equal([Bool, Int, Float, text].filter((value) => value !== undefined).length, 1, key);
      }
    }
  });

  fact('each of them can be reserved, alone and together', async (t, provider) => {
    const ids = (await provider.fingerprint()).flatMap(({ Instances }) => Instances.map(({ ID }) => ID));
    for (const id of ids) {
      const { env, deviceNodes } = await provider.reserve([id]);
      t.ok(Object.keys(env).length > 0, `${id} tells its task something`);
      for (const { hostPath, taskPath, permissions } of deviceNodes) {
        t.match(hostPath, /^\/dev\//);
        t.match(taskPath, /^\/dev\//);
        t.match(permissions, /^[rwm]+$/);
      }
    }
    const { deviceNodes } = await provider.reserve(ids);
    const targets = deviceNodes.map(({ taskPath }) => taskPath);
    t.equal(new Set(targets).size, targets.length, 'no node twice');
  });

  fact('what is not there cannot be reserved', async (t, provider) => {
    await provider.fingerprint();
    await t.rejects(provider.reserve(['nothing-of-this-name']), /nothing-of-this-name/);
  });

  fact('figures are of what it found, and closing it twice does no harm', async (t, provider) => {
    const ids = (await provider.fingerprint()).flatMap(({ Instances }) => Instances.map(({ ID }) => ID));
    const stats = await provider.stats();
    for (const [id, { summary, timestamp }] of Object.entries(stats)) {
      t.ok(ids.includes(id));
      t.ok(Object.keys(summary.value).length > 0);
      t.match(timestamp, /^\d{4}-\d\d-\d\dT/);
    }
    await provider.close();
    await provider.close();
  });
}
