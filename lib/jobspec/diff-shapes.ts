// Which parts of a job are told as fields and which as objects, and by what two lists are matched: Nomad's rules, as a table.

export type Plain = Record<string, unknown>;

/** How the elements of two lists find each other. */
export type Match =
  /** By being equal: an element that changed is one deleted and one added. */
  | { by: 'equality' }
  | { by: 'position' }
  /** By the text under a key; `lone`: one that is alone on both sides stays itself; `last`: of several the last counts. */
  | { by: 'key'; key: string; lone?: boolean; last?: boolean }
  /** By likeness: name, port and position count. */
  | { by: 'likeness' };

export type Part =
  | { form: 'one'; key: string; name: string; shape: Shape }
  | { form: 'list'; key: string; name: string; shape: Shape; match: Match }
  /** An object from name to block. */
  | { form: 'named'; key: string; name: string; shape: Shape }
  /** A list of texts whose order does not matter; `quiet`: not told while nothing in it changed. */
  | { form: 'texts'; key: string; name: string; quiet?: boolean }
  /** Anything: its leaves are the fields. `brief`: unchanged ones are never told. */
  | { form: 'free'; key: string; name: string; brief?: boolean };

export interface Shape {
  /** Keys with plain values that are not told. */
  skip?: readonly string[];
  /** Keys with maps of plain values: every entry is a field. */
  maps?: readonly string[];
  /** Keys with maps or blocks whose entries are fields under their own names. */
  open?: readonly string[];
  /** Keys with lists of texts that are one field, joined by commas. */
  joined?: readonly string[];
  /** What stands for null, by key. */
  absent?: Readonly<Record<string, string>>;
  /** Unchanged fields are never told. */
  brief?: boolean;
  /** The type follows from the fields: a block that only gained values is "Added". */
  byFields?: boolean;
  parts?: readonly Part[];
}

const one = (key: string, name: string, shape: Shape): Part => ({ form: 'one', key, name, shape });
const list = (key: string, name: string, shape: Shape, match: Match): Part => ({
  form: 'list',
  key,
  name,
  shape,
  match,
});
const named = (key: string, name: string, shape: Shape): Part => ({ form: 'named', key, name, shape });
const texts = (key: string, quiet = false): Part => ({ form: 'texts', key, name: key, quiet });
const free = (key: string, name = key, brief = false): Part => ({ form: 'free', key, name, brief });

const EQUALITY: Match = { by: 'equality' };
const POSITION: Match = { by: 'position' };
const by = (key: string): Extract<Match, { by: 'key' }> => ({ by: 'key', key });

const policy: Shape = { byFields: true };
const element: Shape = { byFields: true };
const plain: Shape = {};

const placement: Part[] = [
  list('Constraints', 'Constraint', element, EQUALITY),
  list('Affinities', 'Affinity', element, EQUALITY),
];
const spread = list(
  'Spreads',
  'Spread',
  { parts: [list('SpreadTarget', 'SpreadTarget', plain, by('Value'))] },
  EQUALITY,
);

const network: Shape = {
  skip: ['Device', 'CIDR', 'IP', 'MBits'],
  parts: [
    list('ReservedPorts', 'Static Port', { byFields: true }, by('Label')),
    list('DynamicPorts', 'Dynamic Port', { byFields: true, skip: ['Value', 'IgnoreCollision'] }, by('Label')),
    one('DNS', 'DNS', { joined: ['Servers', 'Searches', 'Options'] }),
    one('CNI', 'CNIConfig', { open: ['Args'], byFields: true }),
  ],
};

const device: Shape = { parts: [] };

const resources: Shape = {
  parts: [
    list('Networks', 'Network', network, EQUALITY),
    list('Devices', 'Device', device, by('Name')),
    one('NUMA', 'NUMA', { joined: ['Devices'] }),
  ],
};

const identity: Shape = { parts: [texts('Audience')] };

const check: Shape = { parts: [free('Header'), one('CheckRestart', 'CheckRestart', plain)] };

const service: Shape = {
  maps: ['Meta', 'CanaryMeta', 'TaggedAddresses'],
  parts: [
    texts('CanaryTags'),
    texts('Tags'),
    list('Checks', 'Check', check, { ...by('Name'), last: true }),
    free('Connect', 'ConsulConnect'),
    one('Identity', 'Identity', identity),
    one('Weights', 'Weights', plain),
  ],
};

const template: Shape = {
  parts: [one('Wait', 'Template', plain), one('ChangeScript', 'ChangeScript', { parts: [texts('Args')] })],
};

export const TASK: Shape = {
  skip: ['Name'],
  maps: ['Env', 'Meta'],
  brief: true,
  parts: [
    ...placement,
    free('Config'),
    one('Resources', 'Resources', resources),
    one('LogConfig', 'LogConfig', policy),
    one('DispatchPayload', 'DispatchPayload', policy),
    list('Artifacts', 'Artifact', { byFields: true, maps: ['GetterOptions', 'GetterHeaders'] }, by('RelativeDest')),
    list('Services', 'Service', service, { by: 'likeness' }),
    one('Vault', 'Vault', { parts: [texts('Policies')] }),
    list('Secrets', 'Secret', { maps: ['Config', 'Env'] }, by('Name')),
    one('Consul', 'Consul', policy),
    list('Templates', 'Template', template, { ...by('DestPath'), lone: true }),
    one('Identity', 'Identity', identity),
    list('Identities', 'Identity', identity, by('Name')),
    list('Actions', 'Action', { parts: [texts('Args')] }, POSITION),
    list('VolumeMounts', 'VolumeMount', plain, POSITION),
    one('Schedule', 'Schedule', { open: ['Cron'] }),
    one('Lifecycle', 'Lifecycle', plain),
    list('ScalingPolicies', 'Scaling', scaling(), by('Type')),
  ],
};

function scaling(): Shape {
  return {
    skip: ['CreateIndex', 'ModifyIndex', 'ID', 'Type'],
    brief: true,
    parts: [free('Policy', 'Policy', true)],
  };
}

const volume: Shape = { parts: [one('MountOptions', 'MountOptions', { parts: [texts('MountFlags')] })] };

export const GROUP: Shape = {
  skip: ['Name'],
  maps: ['Meta'],
  brief: true,
  parts: [
    ...placement,
    spread,
    one('RestartPolicy', 'RestartPolicy', policy),
    one('Migrate', 'Migrate', policy),
    one('ReschedulePolicy', 'ReschedulePolicy', policy),
    one('EphemeralDisk', 'EphemeralDisk', policy),
    one('Consul', 'Consul', policy),
    // Nothing goes by stagger any more.
    one('Update', 'Update', { byFields: true, skip: ['Stagger'] }),
    one('Disconnect', 'Disconnect', { absent: { LostAfter: '0', StopOnClientAfter: 'nil', Replace: 'nil' } }),
    list('Networks', 'Network', network, EQUALITY),
    one('Scaling', 'Scaling', scaling()),
    list('Services', 'Service', service, { by: 'likeness' }),
    named('Volumes', 'Volume', volume),
  ],
};

/** Fields that only the server writes, or that are secret. */
const SERVER_FIELDS = [
  'ID',
  'Status',
  'StatusDescription',
  'Version',
  'Stable',
  'CreateIndex',
  'ModifyIndex',
  'JobModifyIndex',
  'SubmitTime',
  'NomadTokenID',
  'VaultToken',
  'ConsulToken',
  'Payload',
];

const region: Shape = { maps: ['Meta'], parts: [texts('Datacenters', true)] };

export const JOB: Shape = {
  skip: SERVER_FIELDS,
  maps: ['Meta'],
  brief: true,
  parts: [
    texts('Datacenters', true),
    ...placement,
    spread,
    one('Periodic', 'Periodic', { parts: [texts('Specs', true)] }),
    one('ParameterizedJob', 'ParameterizedJob', { parts: [texts('MetaOptional'), texts('MetaRequired')] }),
    one('Multiregion', 'Multiregion', {
      parts: [one('Strategy', 'Strategy', policy), list('Regions', 'Region', region, by('Name'))],
    }),
    one('UI', 'UI', { parts: [list('Links', 'Link', plain, POSITION)] }),
  ],
};
