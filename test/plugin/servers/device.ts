// A device plugin: node device.js
import type { ServerWritableStream } from '@grpc/grpc-js';
import { NOMAD_PLUGIN } from '../../../lib/plugin/go-plugin/handshake.js';
import { servePlugin, unary } from '../../support/go-plugin-server.js';

const memory = { int_numerator_val: { value: 3 }, int_denominator_val: { value: 8 }, unit: 'GiB', desc: 'Memory' };

await servePlugin(NOMAD_PLUGIN, [
  {
    file: 'base',
    service: 'hashicorp.nomad.plugins.base.proto.BasePlugin',
    methods: {
      PluginInfo: unary(() => ({
        type: 'DEVICE',
        name: 'acme',
        plugin_version: '0.1.0',
        plugin_api_versions: ['v0.1.0'],
      })),
      ConfigSchema: unary(() => ({})),
      SetConfig: unary(() => ({})),
    },
  },
  {
    file: 'device',
    service: 'hashicorp.nomad.plugins.device.DevicePlugin',
    methods: {
      Fingerprint(call: ServerWritableStream<object, object>) {
        call.write({
          device_group: [
            {
              vendor: 'acme',
              device_type: 'fpga',
              device_name: 'A1',
              devices: [
                { ID: 'one', healthy: true, hw_locality: { pci_bus_id: '0000:01:00.0' } },
                { ID: 'two', health_description: 'too hot' },
              ],
              attributes: { memory: { int_val: 8, unit: 'GiB' }, ecc: { bool_val: true }, none: { unit: 'x' } },
            },
          ],
        });
      },
      Reserve: unary(({ device_ids: [first = ''] }: { device_ids: string[] }) => {
        if (first === 'die') process.exit(4);
        if (first === 'gone') throw new Error('device gone is gone');
        return {
          container_res: {
            envs: { ACME: first },
            devices: [{ task_path: '/dev/acme', host_path: '/dev/null', permissions: 'rw' }],
            mounts: [{ task_path: '/lib/acme', host_path: '/lib', read_only: true }],
          },
        };
      }),
      Stats(call: ServerWritableStream<object, object>) {
        call.write({
          groups: [
            {
              instance_stats: {
                one: { summary: memory, stats: { nested: { memory: { attributes: { used: memory } } } } },
                two: {},
              },
            },
          ],
        });
      },
    },
  },
]);
