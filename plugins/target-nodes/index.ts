import type { TargetPlugin } from '../../lib/plugin/sdk/autoscaler.js';
import { type NodesConfig, readNodesConfig, refuseTargetConfig } from './config.js';
import { NodesTarget, type Rest } from './target.js';

/** Nodes that are not needed get no work, and stay up: who shares a machine with its owner, or switches it by other means. */
const SET_ASIDE: Rest<NodesConfig> = {
  switched: false,
  readConfig: (given) => readNodesConfig(given, { target: 'nodes' }),
  drainMessage: 'set aside by the autoscaler',
  rest: async ({ Name }) => `${Name} is set aside`,
  wake: async ({ Name }) => `${Name} takes work again`,
  forgotten: () => [],
  meta: (asleep) => ({ set_aside: String(asleep.length) }),
};

const plugin: TargetPlugin = {
  kind: 'target',
  name: 'nodes',
  configProblems: refuseTargetConfig,
  create: (options) => new NodesTarget('nodes', SET_ASIDE, options),
};
export default plugin;
