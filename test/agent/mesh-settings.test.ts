import t from 'tap';
import { loadAgentConfig } from '../../lib/agent/config/index.js';
import { meshSettings } from '../../lib/agent/from-config.js';

t.test('addresses that no link could use are refused when the configuration is read', async (t) => {
  const cases: [string, RegExp | undefined][] = [
    ['nas.example.org', undefined],
    ['203.0.113.7:4000', undefined],
    ['[2001:db8::1]:49737', /IPv6 address, and members are linked over IPv4/],
    ['a:b:c', /is no address|IPv6/],
  ];
  for (const key of ['bootstrap', 'hints', 'advertise']) {
    for (const [text, problem] of cases) {
      const source = `mesh {\n  ${key} = [${JSON.stringify(text)}]\n}\n`;
      const loaded = loadAgentConfig({ files: [{ name: 'f', source }], flags: {}, dev: true });
      if (!loaded.ok) throw new Error(loaded.error[0]?.summary);
      const problems: string[] = [];
      meshSettings(loaded.value.config, problems);
      t.match(problems[0] ?? '', problem ?? /^$/, `${key} ${text}`);
    }
  }
});
