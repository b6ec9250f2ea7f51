// A plugin of the autoscaler: node scaler.js NAME KIND
import { status } from '@grpc/grpc-js';
import { SCALER_PLUGIN } from '../../../lib/plugin/go-plugin/handshake.js';
import { logLine, servePlugin, unary } from '../../support/go-plugin-server.js';

const [name = '', kind = ''] = process.argv.slice(2);
const PACKAGE = 'hashicorp.nomad_autoscaler.plugins';
let config: Record<string, string> = {};

interface Run {
  count: number;
  check: { name: string; strategy: { config: Record<string, string> } };
  timestamped_metric: { value: number }[];
}

await servePlugin(SCALER_PLUGIN, [
  {
    file: 'scaler-base',
    service: `${PACKAGE}.base.proto.v1.BasePluginService`,
    methods: {
      PluginInfo: unary(() => ({ name, type: `PLUGIN_TYPE_${kind.toUpperCase()}` })),
      SetConfig: unary((request: { config: Record<string, string> }) => {
        config = request.config;
        if (config['refuse']) throw new Error(`refused: ${config['refuse']}`);
        logLine('warn', 'configured', { keys: Object.keys(config).length });
        return {};
      }),
    },
  },
  {
    file: 'scaler-strategy',
    service: `${PACKAGE}.strategy.proto.v1.StrategyPluginService`,
    methods: {
      Run: unary(({ count, check, timestamped_metric }: Run) => {
        console.log(`running ${check.name}`);
        if (check.name === 'die') process.exit(7);
        if (check.name === 'hang') return new Promise<object>(() => {});
        if (check.name === 'huge') return { action: { reason: 'x'.repeat(20_000_000) } };
        if (check.name === 'senseless') return { action: { count: 1 } };
        const wanted = timestamped_metric.at(-1)?.value ?? 0;
        const direction = wanted > count ? 'UP' : 'NONE';
        return {
          action: {
            count: wanted,
            direction: `SCALING_DIRECTION_${direction}`,
            reason: `${config['reason']} ${check.strategy.config['why']}`,
            meta: { value: Buffer.from(`{"pid":"${process.pid}"}`) },
          },
        };
      }),
    },
  },
  {
    file: 'scaler-apm',
    service: `${PACKAGE}.apm.proto.v1.APMPluginService`,
    methods: {
      Query: unary(({ query, time_range }: { query: string; time_range: { from: object } }) => {
        if (query === 'bad') throw new Error('no such figure: bad');
        return { timestamped_metric: [{ timestamp: time_range.from, value: 1.5 }] };
      }),
      QueryMultiple: unary(() => ({
        timestamped_metric: [{ timestamped_metric: [{ value: 1 }] }, { timestamped_metric: [{ value: 2 }] }],
      })),
    },
  },
  {
    file: 'scaler-target',
    service: `${PACKAGE}.target.proto.v1.TargetPluginService`,
    methods: {
      Status: unary((request: { config: Record<string, string> }) => ({
        ready: true,
        count: Number(request.config['count']),
        meta: { seen: 'yes' },
      })),
      Scale: unary((request: { action: { count: number } }) => {
        if (request.action.count === 0) throw Object.assign(new Error('nothing to do'), { code: status.ABORTED });
        return {};
      }),
    },
  },
]);
