import { connect } from './connect.js';
import {
  boolOrFalse,
  duration,
  durationOrZero,
  free,
  intOrZero,
  list,
  one,
  type Struct,
  textOrEmpty,
  texts,
} from './field.js';
import { identity } from './task-parts.js';

const checkRestart: Struct = {
  name: 'check_restart',
  fields: [intOrZero('limit', 'Limit'), duration('grace', 'Grace'), boolOrFalse('ignore_warnings', 'IgnoreWarnings')],
};

const check: Struct = {
  name: 'check',
  fields: [
    textOrEmpty('id', 'Id'),
    textOrEmpty('name', 'Name'),
    textOrEmpty('type', 'Type'),
    textOrEmpty('command', 'Command'),
    texts('args', 'Args'),
    textOrEmpty('path', 'Path'),
    textOrEmpty('protocol', 'Protocol'),
    textOrEmpty('port', 'PortLabel'),
    boolOrFalse('expose', 'Expose'),
    textOrEmpty('address_mode', 'AddressMode'),
    textOrEmpty('advertise', 'Advertise'),
    durationOrZero('interval', 'Interval'),
    durationOrZero('timeout', 'Timeout'),
    textOrEmpty('initial_status', 'InitialStatus'),
    textOrEmpty('notes', 'Notes'),
    textOrEmpty('tls_server_name', 'TLSServerName'),
    boolOrFalse('tls_skip_verify', 'TLSSkipVerify'),
    free('header', 'Header', 'strings'),
    textOrEmpty('method', 'Method'),
    one('check_restart', 'CheckRestart', checkRestart),
    textOrEmpty('grpc_service', 'GRPCService'),
    boolOrFalse('grpc_use_tls', 'GRPCUseTLS'),
    textOrEmpty('task', 'TaskName'),
    intOrZero('success_before_passing', 'SuccessBeforePassing'),
    intOrZero('failures_before_critical', 'FailuresBeforeCritical'),
    intOrZero('failures_before_warning', 'FailuresBeforeWarning'),
    textOrEmpty('body', 'Body'),
    textOrEmpty('on_update', 'OnUpdate'),
  ],
};

export const service: Struct = {
  name: 'service',
  fields: [
    textOrEmpty('id', 'Id'),
    textOrEmpty('name', 'Name'),
    texts('tags', 'Tags'),
    texts('canary_tags', 'CanaryTags'),
    boolOrFalse('enable_tag_override', 'EnableTagOverride'),
    textOrEmpty('port', 'PortLabel'),
    textOrEmpty('address_mode', 'AddressMode'),
    textOrEmpty('address', 'Address'),
    list('check', 'Checks', check),
    one('check_restart', 'CheckRestart', checkRestart),
    one('connect', 'Connect', connect),
    free('meta', 'Meta'),
    free('canary_meta', 'CanaryMeta'),
    free('tagged_addresses', 'TaggedAddresses'),
    textOrEmpty('task', 'TaskName'),
    textOrEmpty('on_update', 'OnUpdate'),
    one('identity', 'Identity', identity),
    one('weights', 'Weights', {
      name: 'weights',
      fields: [intOrZero('passing', 'Passing'), intOrZero('warning', 'Warning')],
    }),
    textOrEmpty('provider', 'Provider'),
    textOrEmpty('cluster', 'Cluster'),
    textOrEmpty('kind', 'Kind'),
  ],
};
