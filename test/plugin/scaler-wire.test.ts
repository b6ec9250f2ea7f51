import type { MessageTypeDefinition, ServiceDefinition } from '@grpc/proto-loader';
import t from 'tap';
import { SCALER_PLUGIN } from '../../lib/plugin/go-plugin/handshake.js';
import { loadProtos, type ProtoFile } from '../../lib/plugin/go-plugin/protos.js';

const PACKAGE = 'hashicorp.nomad_autoscaler.plugins';

/** Existing plugins were compiled with these: names of methods, numbers and types of fields. Not to be changed. */
const METHODS: [ProtoFile, string, string[]][] = [
  ['scaler-base', 'base.proto.v1.BasePluginService', ['PluginInfo', 'SetConfig']],
  ['scaler-apm', 'apm.proto.v1.APMPluginService', ['Query', 'QueryMultiple']],
  ['scaler-strategy', 'strategy.proto.v1.StrategyPluginService', ['Run']],
  ['scaler-target', 'target.proto.v1.TargetPluginService', ['Scale', 'Status']],
];
const FIELDS: [ProtoFile, string, Record<string, string>][] = [
  ['scaler-base', 'base.proto.v1.PluginInfoResponse', { name: '1 string', type: '2 enum' }],
  ['scaler-base', 'base.proto.v1.SetConfigRequest', { config: '1 map' }],
  ['scaler-apm', 'apm.proto.v1.QueryRequest', { query: '1 string', timeRange: '2 message' }],
  ['scaler-apm', 'apm.proto.v1.QueryResponse', { timestampedMetric: '1 list' }],
  ['scaler-apm', 'apm.proto.v1.QueryMultipleResponse', { timestampedMetric: '1 list' }],
  ['scaler-apm', 'shared.proto.v1.TimeRange', { to: '1 message', from: '2 message' }],
  ['scaler-apm', 'shared.proto.v1.TimestampedMetric', { timestamp: '1 message', value: '2 double' }],
  [
    'scaler-strategy',
    'strategy.proto.v1.RunRequest',
    { action: '1 message', check: '2 message', timestampedMetric: '3 list', count: '4 int64' },
  ],
  [
    'scaler-strategy',
    'strategy.proto.v1.RunResponse',
    { action: '1 message', check: '2 message', timestampedMetric: '3 list' },
  ],
  [
    'scaler-strategy',
    'shared.proto.v1.ScalingAction',
    { count: '1 int64', reason: '2 string', error: '3 bool', direction: '4 enum', meta: '5 message' },
  ],
  [
    'scaler-strategy',
    'shared.proto.v1.ScalingPolicyCheck',
    { name: '1 string', source: '2 string', query: '3 string', queryWindow: '4 message', strategy: '5 message' },
  ],
  ['scaler-strategy', 'shared.proto.v1.ScalingPolicyStrategy', { name: '1 string', config: '2 map' }],
  ['scaler-target', 'target.proto.v1.ScaleRequest', { action: '1 message', config: '2 map' }],
  ['scaler-target', 'target.proto.v1.StatusRequest', { config: '1 map' }],
  ['scaler-target', 'target.proto.v1.StatusResponse', { ready: '1 bool', count: '2 int64', meta: '3 map' }],
];

interface Field {
  name: string;
  number: number;
  label: string;
  type: string;
  typeName: string;
}

/** The entries of a map have a message of their own, named as the field is. */
function kindOf({ name, label, type, typeName }: Field): string {
  if (label === 'LABEL_REPEATED') return typeName.toLowerCase() === name ? 'map' : 'list';
  return type.replace('TYPE_', '').toLowerCase();
}

t.test('the cookie and the version of existing plugins', async (t) => {
  t.same(SCALER_PLUGIN, {
    cookieKey: 'NOMAD_AUTOSCALER_PLUGIN_MAGIC_COOKIE',
    cookieValue: 'e082fa04d587a6525d683666fa253d6afda00f20c122c54a80a3ed57fec99ff3',
    versions: [1],
    offersTls: true,
  });
});

t.test('services have the methods of existing plugins', async (t) => {
  for (const [file, service, methods] of METHODS) {
    const found = (await loadProtos(file))[`${PACKAGE}.${service}`] as ServiceDefinition;
    const paths = methods.map((method) => `/${PACKAGE}.${service}/${method}`);
    t.same(
      Object.values(found).map(({ path }) => path),
      paths,
      service,
    );
  }
});

t.test('messages have the fields of existing plugins', async (t) => {
  for (const [file, message, fields] of FIELDS) {
    const found = (await loadProtos(file))[`${PACKAGE}.${message}`] as MessageTypeDefinition<object, object>;
    const { field } = found.type as unknown as { field: Field[] };
    const camel = (name: string): string => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
    t.same(Object.fromEntries(field.map((one) => [camel(one.name), `${one.number} ${kindOf(one)}`])), fields, message);
  }
});

t.test('directions and kinds have the numbers of existing plugins', async (t) => {
  const values = async (file: ProtoFile, name: string): Promise<object> => {
    const { type } = (await loadProtos(file))[`${PACKAGE}.${name}`] as MessageTypeDefinition<object, object>;
    const { value } = type as unknown as { value: { name: string; number: number }[] };
    return Object.fromEntries(value.map((one) => [one.name, one.number]));
  };
  t.same(await values('scaler-strategy', 'shared.proto.v1.ScalingDirection'), {
    SCALING_DIRECTION_UNSPECIFIED: 0,
    SCALING_DIRECTION_NONE: 1,
    SCALING_DIRECTION_DOWN: 2,
    SCALING_DIRECTION_UP: 3,
  });
  t.same(await values('scaler-base', 'base.proto.v1.PluginType'), {
    PLUGIN_TYPE_UNSPECIFIED: 0,
    PLUGIN_TYPE_APM: 1,
    PLUGIN_TYPE_STRATEGY: 2,
    PLUGIN_TYPE_TARGET: 3,
  });
});
