import type { Millis } from '../../util/clock.js';
import type { Facts, Fingerprint } from './fact.js';

// What a cloud tells a machine of itself. Nothing is asked unless the agent's config says `fingerprint "env_aws" {}` in `client`:
// elsewhere the address may be anybody's.

/** A metadata service has the answer at hand. */
const ANSWER_MAX_MS: Millis = 2000;
const TEXT_MAX = 4096;
const HERE = 'http://169.254.169.254';

/** How a cloud is asked; attributes under the names of Nomad's fingerprints. */
interface Cloud {
  /** The environment variable that names another base address. */
  variable: string;
  base: string;
  headers: Readonly<Record<string, string>>;
  /** Path below the base → attribute below `platform.`; a leading "!" marks what only this machine has. */
  keys: Readonly<Record<string, string>>;
  /** What only this cloud answers; '' = the first key. */
  link: { name: string; from: readonly string[] };
}

/** Only the last part of "projects/1/zones/us-central1-f" counts. */
const LAST_PART = new Set(['platform.gce.machine-type', 'platform.gce.zone']);

const CLOUDS: Record<string, Cloud> = {
  env_aws: {
    variable: 'AWS_ENV_URL',
    base: `${HERE}/latest/meta-data/`,
    headers: {},
    keys: {
      'instance-id': '!aws.instance-id',
      'instance-type': 'aws.instance-type',
      'instance-life-cycle': 'aws.instance-life-cycle',
      'placement/availability-zone': 'aws.placement.availability-zone',
      'ami-id': '!aws.ami-id',
      hostname: '!aws.hostname',
      'local-hostname': '!aws.local-hostname',
      'local-ipv4': '!aws.local-ipv4',
      'public-hostname': '!aws.public-hostname',
      'public-ipv4': '!aws.public-ipv4',
      mac: '!aws.mac',
    },
    link: { name: 'aws.ec2', from: ['platform.aws.placement.availability-zone', 'unique.platform.aws.instance-id'] },
  },
  env_gce: {
    variable: 'GCE_ENV_URL',
    base: `${HERE}/computeMetadata/v1/instance/`,
    headers: { 'Metadata-Flavor': 'Google' },
    keys: {
      id: '!gce.id',
      hostname: '!gce.hostname',
      'cpu-platform': 'gce.cpu-platform',
      'scheduling/automatic-restart': 'gce.scheduling.automatic-restart',
      'scheduling/on-host-maintenance': 'gce.scheduling.on-host-maintenance',
      'machine-type': 'gce.machine-type',
      zone: 'gce.zone',
    },
    link: { name: 'gce', from: ['unique.platform.gce.id'] },
  },
  env_azure: {
    variable: 'AZURE_ENV_URL',
    base: `${HERE}/metadata/instance/compute/`,
    headers: { Metadata: 'true' },
    keys: {
      'vmId?format=text&api-version=2019-06-04': '!azure.id',
      'name?format=text&api-version=2019-06-04': '!azure.name',
      'location?format=text&api-version=2019-06-04': 'azure.location',
      'resourceGroupName?format=text&api-version=2019-06-04': 'azure.resource-group',
      'vmScaleSetName?format=text&api-version=2019-06-04': 'azure.scale-set',
      'vmSize?format=text&api-version=2019-06-04': 'azure.vm-size',
      'zone?format=text&api-version=2019-06-04': 'azure.zone',
    },
    link: { name: 'azure', from: ['unique.platform.azure.id'] },
  },
  env_digitalocean: {
    variable: 'DO_ENV_URL',
    base: `${HERE}/metadata/v1/`,
    headers: {},
    keys: {
      id: '!digitalocean.id',
      hostname: '!digitalocean.hostname',
      region: 'digitalocean.region',
      'interfaces/private/0/ipv4/address': '!digitalocean.private-ipv4',
      'interfaces/public/0/ipv4/address': '!digitalocean.public-ipv4',
      'interfaces/public/0/ipv6/address': '!digitalocean.public-ipv6',
    },
    link: { name: 'digitalocean', from: ['unique.platform.digitalocean.id'] },
  },
};

/** A cloud to be asked, as the agent's config names it. */
export interface CloudWish {
  name: string;
  /** How often it is asked again when it does not answer. */
  retryAttempts: number;
  retryIntervalMs: Millis;
}

/** Asks one cloud, until it has answered or was asked often enough. */
export function cloudFingerprint({ name, retryAttempts, retryIntervalMs }: CloudWish): Fingerprint {
  const cloud = CLOUDS[name] as Cloud;
  let found: Facts | null = null;
  let left = retryAttempts + 1;
  return {
    name,
    periodMs: retryAttempts > 0 ? retryIntervalMs : null,
    slow: true,
    async run(): Promise<Facts> {
      if (!found && left > 0) {
        left--;
        found = await askCloud(cloud, process.env[cloud.variable] ?? cloud.base);
      }
      return found ?? { attributes: {} };
    },
  };
}

async function askCloud({ headers, keys, link }: Cloud, base: string): Promise<Facts> {
  const token = link.name === 'aws.ec2' ? await awsToken(base) : {};
  const [[firstPath = '', firstName = ''] = [], ...rest] = Object.entries(keys);
  const ask = (path: string): Promise<string | null> => askOne(new URL(path, base), { ...headers, ...token });
  const first = await ask(firstPath);
  if (first === null) throw new Error(`${base} does not answer as ${link.name} would`);
  const answers = await Promise.all(
    rest.map(async ([path, name]): Promise<[string, string | null]> => [name, await ask(path)]),
  );
  const attributes: Record<string, string> = {};
  for (const [name, text] of [[firstName, first] as const, ...answers]) {
    if (text === null || text === '') continue;
    const full = name.startsWith('!') ? `unique.platform.${name.slice(1)}` : `platform.${name}`;
    attributes[full] = LAST_PART.has(full) ? (text.split('/').at(-1) ?? '') : text;
  }
  const parts = link.from.map((name) => attributes[name]);
  return { attributes, links: parts.every(Boolean) ? { [link.name]: parts.join('.') } : {} };
}

/** The second version of Amazon's service wants a token; where there is only the first, none is given. */
async function awsToken(base: string): Promise<Record<string, string>> {
  const headers = { 'X-aws-ec2-metadata-token-ttl-seconds': '60' };
  const token = await askOne(new URL('../api/token', base), headers, 'PUT');
  return token === null ? {} : { 'X-aws-ec2-metadata-token': token };
}

/** One line of text; null when there is no such thing. */
async function askOne(url: URL, headers: Record<string, string>, method = 'GET'): Promise<string | null> {
  try {
    const signal = AbortSignal.timeout(ANSWER_MAX_MS);
    const response = await fetch(url, { method, headers, redirect: 'error', signal });
    const text = await response.text();
    return response.ok && text.length <= TEXT_MAX ? text.trim() : null;
  } catch {
    return null;
  }
}
