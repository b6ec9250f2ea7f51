import t from 'tap';
import { scalerProblem } from '../../lib/plugin/scalers.js';

const NONE = { apm: {}, strategy: {}, target: {}, pluginDir: null };

t.test('plugins that come with the program need no block, and blocks give others a name', async (t) => {
  const block = { driver: 'threshold', args: [], config: {}, package: null };
  for (const [kind, name] of [
    ['apm', 'nomad-apm'],
    ['apm', 'prometheus'],
    ['strategy', 'target-value'],
    ['strategy', 'mine'],
    ['target', 'nomad-target'],
    ['target', 'nodes'],
    ['target', 'power'],
  ] as const) {
    t.equal(scalerProblem({ ...NONE, strategy: { mine: block } }, kind, name), undefined, name);
  }
});

t.test('a name that there is not is told with the nearest one', async (t) => {
  for (const [kind, name, message] of [
    ['apm', 'prometeus', /^there is no apm plugin "prometeus", and no plugin_dir is set; did you mean "prometheus"\?$/],
    ['strategy', 'target-values', /did you mean "target-value"\?/],
    ['strategy', 'min', /did you mean "mine"\?/],
    ['target', 'target-nodes', /did you mean "nodes"\?/],
    ['target', 'aws-asg', /there are nodes, nomad-target, power$/],
    ['target', 'constructor', /there is no target plugin "constructor"/],
    ['target', '../power', /there is no target plugin/],
  ] as const) {
    const block = { driver: 'threshold', args: [], config: {}, package: null };
    t.match(scalerProblem({ ...NONE, strategy: { mine: block } }, kind, name), message);
  }
  t.match(scalerProblem({ ...NONE, pluginDir: '/nowhere' }, 'apm', 'datadog'), /no file of this name in \/nowhere/);
});
