import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { loadAgentConfig } from '../../lib/agent/config/index.js';
import { settingsFromConfig } from '../../lib/agent/from-config.js';

t.test('blocks of the autoscaler find programs in the usual plugin directory too', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'scaler-settings-'));
  t.teardown(() => rmSync(dataDir, { recursive: true, force: true }));
  const source = `data_dir = ${JSON.stringify(dataDir)}\nautoscaler {\n  target "mine" {\n    driver = "my-target"\n  }\n}\n`;
  const loaded = loadAgentConfig({ files: [{ name: 'f', source }], flags: {}, dev: true });
  if (!loaded.ok) throw new Error(loaded.error[0]?.summary);
  const settings = () => settingsFromConfig(loaded.value.config, { version: '0' });
  const without = await settings();
  t.match(without.ok || without.error, /target\.mine: there is no target plugin "my-target", and no plugin_dir is set/);
  const plugins = join(dataDir, 'plugins');
  mkdirSync(plugins);
  const missing = await settings();
  t.match(missing.ok || missing.error, `and no file of this name in ${plugins}`);
  writeFileSync(join(plugins, 'my-target'), '#!/bin/sh\n');
  chmodSync(join(plugins, 'my-target'), 0o755);
  const found = await settings();
  t.ok(found.ok, found.ok ? '' : found.error);
  if (found.ok) t.match(found.value, { pluginDir: plugins, autoscaler: { target: { mine: { driver: 'my-target' } } } });
});
