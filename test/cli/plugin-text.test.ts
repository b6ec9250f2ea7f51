import t from 'tap';
import { pluginText } from '../../lib/cli/volume-text.js';
import type { CsiInfo, CsiPlugin } from '../../lib/structs/csi.js';

const info = (Provider: string): CsiInfo => ({
  PluginID: 'same',
  AllocID: '',
  Healthy: true,
  HealthDescription: '',
  UpdateTime: '',
  Provider,
  ProviderVersion: '1',
  RequiresControllerPlugin: true,
  RequiresTopologies: false,
  ControllerInfo: null,
  NodeInfo: null,
});

function textOf(controllers: Record<string, CsiInfo>, nodes: Record<string, CsiInfo>): string {
  const plugin: CsiPlugin = {
    ID: 'same',
    Provider: 'a.test',
    Version: '1',
    ControllerRequired: true,
    ControllersHealthy: 1,
    ControllersExpected: 1,
    NodesHealthy: 2,
    NodesExpected: 2,
    Controllers: controllers,
    Nodes: nodes,
    Allocations: [],
    CreateIndex: 1,
    ModifyIndex: 1,
    CreateTime: 0,
    ModifyTime: 0,
  };
  return pluginText(plugin, [], { verbose: false, nowMs: 0 });
}

t.test('a plugin of one driver has no warning, also while an instance has not said which it is', async (t) => {
  const text = textOf({ n1: info('a.test') }, { n1: info('a.test'), n2: info('') });
  t.notMatch(text, /Warning/);
});

t.test('different drivers under one id are warned of, each with its nodes', async (t) => {
  const text = textOf({ n1: info('a.test') }, { n1: info('a.test'), n2: info('b.test'), n3: info('a.test') });
  t.match(text, /Warning: different drivers run as plugin "same"/);
  t.match(text, /\na\.test +n1, n3\nb\.test +n2\n/);
});

t.test('a controller and a node plugin of different drivers are warned of', async (t) => {
  t.match(textOf({ n1: info('a.test') }, { n1: info('b.test') }), /\na\.test +n1\nb\.test +n1\n/);
});
