import {
  boolOrFalse,
  int,
  intOrZero,
  label,
  list,
  megabytes,
  megahertz,
  one,
  type Raw,
  type Struct,
  textMap,
  textOrEmpty,
  texts,
  UINT64,
  upTo,
} from './field.js';
import { affinity, constraint } from './placement.js';

const port: Struct = {
  name: 'port',
  fields: [
    label('Label', 'label'),
    intOrZero('static', 'Value'),
    intOrZero('to', 'To'),
    textOrEmpty('host_network', 'HostNetwork'),
    boolOrFalse('ignore_collision', 'IgnoreCollision'),
  ],
};

/** Ports are written alike; those with a number of their own are reserved. */
function sortPorts(raw: Raw): undefined {
  const ports = raw['DynamicPorts'] as Raw[] | null;
  if (!ports || ports.length === 0) return;
  const isReserved = (p: Raw): boolean => typeof p['Value'] === 'number' && p['Value'] > 0;
  const dynamic = ports.filter((p) => !isReserved(p));
  const reserved = ports.filter(isReserved);
  raw['DynamicPorts'] = dynamic.length > 0 ? dynamic : null;
  raw['ReservedPorts'] = reserved.length > 0 ? reserved : null;
}

export const network: Struct = {
  name: 'network',
  fields: [
    textOrEmpty('mode', 'Mode'),
    textOrEmpty('device', 'Device'),
    textOrEmpty('cidr', 'CIDR'),
    textOrEmpty('ip', 'IP'),
    textOrEmpty('hostname', 'Hostname'),
    int('mbits', 'MBits'),
    one('dns', 'DNS', {
      name: 'dns',
      fields: [texts('servers', 'Servers'), texts('searches', 'Searches'), texts('options', 'Options')],
    }),
    list('reserved_ports', 'ReservedPorts', port),
    list('port', 'DynamicPorts', port),
    one('cni', 'CNI', { name: 'cni', fields: [textMap('args', 'Args')] }),
  ],
  settle: sortPorts,
};

/** What Nomad's API does not have is in it only when it is said. */
function dropOwnKeys(raw: Raw): undefined {
  for (const key of ['Share', 'MemoryMB']) if (raw[key] === null) delete raw[key];
}

const device: Struct = {
  name: 'device',
  fields: [
    label('Name'),
    upTo(UINT64)('count', 'Count'),
    list('constraint', 'Constraints', constraint),
    list('affinity', 'Affinities', affinity),
    int('share', 'Share'),
    megabytes('memory', 'MemoryMB'),
  ],
  settle: dropOwnKeys,
};

export const resources: Struct = {
  name: 'resources',
  fields: [
    megahertz('cpu', 'CPU'),
    int('cores', 'Cores'),
    megabytes('memory', 'MemoryMB'),
    megabytes('memory_max', 'MemoryMaxMB'),
    megabytes('disk', 'DiskMB'),
    int('iops', 'IOPS'),
    megabytes('secrets', 'SecretsMB'),
    list('network', 'Networks', network),
    list('device', 'Devices', device),
    one('numa', 'NUMA', { name: 'numa', fields: [textOrEmpty('affinity', 'Affinity'), texts('devices', 'Devices')] }),
  ],
};
