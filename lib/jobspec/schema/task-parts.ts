import {
  bool,
  boolOrFalse,
  duration,
  durationOrZero,
  free,
  int,
  label,
  megabytes,
  one,
  type Raw,
  type Struct,
  text,
  textOrEmpty,
  texts,
} from './field.js';

const fill = (raw: Raw, key: string, value: unknown): void => {
  raw[key] ??= value;
};

export const restart: Struct = {
  name: 'restart',
  fields: [
    int('attempts', 'Attempts'),
    duration('interval', 'Interval'),
    duration('delay', 'Delay'),
    text('mode', 'Mode'),
    bool('render_templates', 'RenderTemplates'),
  ],
};

export const logs: Struct = {
  name: 'logs',
  fields: [
    int('max_files', 'MaxFiles'),
    megabytes('max_file_size', 'MaxFileSizeMB'),
    bool('enabled', 'Enabled'),
    bool('disabled', 'Disabled'),
  ],
};

export const volumeMount: Struct = {
  name: 'volume_mount',
  fields: [
    text('volume', 'Volume'),
    text('destination', 'Destination'),
    bool('read_only', 'ReadOnly'),
    text('propagation_mode', 'PropagationMode'),
    text('selinux_label', 'SELinuxLabel'),
  ],
};

export const identity: Struct = {
  name: 'identity',
  fields: [
    textOrEmpty('name', 'Name'),
    texts('aud', 'Audience'),
    textOrEmpty('change_mode', 'ChangeMode'),
    textOrEmpty('change_signal', 'ChangeSignal'),
    boolOrFalse('env', 'Env'),
    boolOrFalse('file', 'File'),
    textOrEmpty('filepath', 'Filepath'),
    textOrEmpty('service_name', 'ServiceName'),
    durationOrZero('ttl', 'TTL'),
    texts('extra_claims', 'ExtraClaims'),
  ],
};

export const artifact: Struct = {
  name: 'artifact',
  fields: [
    text('source', 'GetterSource'),
    free('options', 'GetterOptions'),
    free('headers', 'GetterHeaders'),
    text('mode', 'GetterMode'),
    bool('insecure', 'GetterInsecure'),
    text('destination', 'RelativeDest'),
    boolOrFalse('chown', 'Chown'),
  ],
};

export const template: Struct = {
  name: 'template',
  fields: [
    text('source', 'SourcePath'),
    text('destination', 'DestPath'),
    text('data', 'EmbeddedTmpl'),
    text('change_mode', 'ChangeMode'),
    text('change_signal', 'ChangeSignal'),
    bool('once', 'Once'),
    duration('splay', 'Splay'),
    text('perms', 'Perms'),
    int('uid', 'Uid'),
    int('gid', 'Gid'),
    text('left_delimiter', 'LeftDelim'),
    text('right_delimiter', 'RightDelim'),
    bool('env', 'Envvars'),
    duration('vault_grace', 'VaultGrace'),
    bool('error_on_missing_key', 'ErrMissingKey'),
    one('wait', 'Wait', {
      name: 'wait',
      fields: [duration('min', 'Min'), duration('max', 'Max')],
    }),
    one('change_script', 'ChangeScript', {
      name: 'change_script',
      fields: [
        text('command', 'Command'),
        texts('args', 'Args'),
        duration('timeout', 'Timeout'),
        bool('fail_on_error', 'FailOnError'),
        bool('run_on_first_render', 'RunOnFirstRender'),
      ],
      settle: (raw) => {
        fill(raw, 'Args', []);
        fill(raw, 'Timeout', 5e9);
        fill(raw, 'FailOnError', false);
        fill(raw, 'RunOnFirstRender', false);
        return undefined;
      },
    }),
  ],
  settle: (raw) => {
    fill(raw, 'ChangeMode', 'restart');
    fill(raw, 'Perms', '0644');
    fill(raw, 'Splay', 5e9);
    fill(raw, 'ErrMissingKey', false);
    return undefined;
  },
};

export const vault: Struct = {
  name: 'vault',
  fields: [
    texts('policies', 'Policies'),
    textOrEmpty('role', 'Role'),
    text('namespace', 'Namespace'),
    textOrEmpty('cluster', 'Cluster'),
    bool('env', 'Env'),
    bool('disable_file', 'DisableFile'),
    text('change_mode', 'ChangeMode'),
    text('change_signal', 'ChangeSignal'),
    bool('allow_token_expiration', 'AllowTokenExpiration'),
  ],
  settle: (raw) => {
    fill(raw, 'Env', true);
    fill(raw, 'DisableFile', false);
    fill(raw, 'ChangeMode', 'restart');
    return undefined;
  },
};

export const consul: Struct = {
  name: 'consul',
  fields: [
    textOrEmpty('namespace', 'Namespace'),
    textOrEmpty('cluster', 'Cluster'),
    textOrEmpty('partition', 'Partition'),
  ],
};

export const secret: Struct = {
  name: 'secret',
  fields: [
    label('Name'),
    textOrEmpty('provider', 'Provider'),
    textOrEmpty('path', 'Path'),
    free('config', 'Config', 'any'),
    free('env', 'Env'),
  ],
};

export const csiPlugin: Struct = {
  name: 'csi_plugin',
  fields: [
    textOrEmpty('id', 'ID'),
    textOrEmpty('type', 'Type'),
    textOrEmpty('mount_dir', 'MountDir'),
    textOrEmpty('stage_publish_base_dir', 'StagePublishBaseDir'),
    durationOrZero('health_timeout', 'HealthTimeout'),
  ],
};

export const schedule: Struct = {
  name: 'schedule',
  fields: [
    one('cron', 'Cron', {
      name: 'cron',
      fields: [textOrEmpty('start', 'Start'), textOrEmpty('end', 'End'), textOrEmpty('timezone', 'Timezone')],
    }),
  ],
};

export const action: Struct = {
  name: 'action',
  fields: [label('Name'), textOrEmpty('command', 'Command', true), texts('args', 'Args')],
};
