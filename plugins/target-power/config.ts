import { durationMs, type Given, type NodesConfig, oneOf, readNodesConfig } from '../target-nodes/config.js';

export const WAKE_METHODS = ['wol', 'ssh', 'ipmi', 'redfish', 'http', 'command'] as const;
export const SLEEP_METHODS = ['agent', 'ssh', 'ipmi', 'redfish', 'http', 'command'] as const;
export type WakeMethod = (typeof WAKE_METHODS)[number];
export type SleepMethod = (typeof SLEEP_METHODS)[number];

/**
 * A target block: `target "power" { node_pool = "gpu" … }`. In addresses `{name}`, `{id}`, `{mac}`, `{address}` and `{meta.KEY}`
 * stand for those of the node. Secrets are named by files on the servers.
 */
export interface PowerConfig extends NodesConfig {
  wake: WakeMethod;
  sleep: SleepMethod;
  /** `command`: programs on the servers, with NODE_ID, NODE_NAME, NODE_ADDRESS and NODE_MAC in their environment. */
  wakeCommand: string[];
  sleepCommand: string[];
  http: HttpConfig;
  bmc: BmcConfig;
  ssh: SshConfig;
  wakeTimeoutMs: number;
  /** So long it may take until a machine that was put to sleep is seen to be gone. */
  sleepTimeoutMs: number;
  /** Of one machine, for the estimate of what is saved; 0 = none is made. */
  watts: number;
}

/** A smart plug, or whatever else is asked by HTTP. */
export interface HttpConfig {
  wakeUrl: string;
  sleepUrl: string;
  /** Asked when the machine has gone: cuts its current. '' = it is not cut. */
  offUrl: string;
  method: 'POST' | 'PUT' | 'GET';
  wakeBody: string;
  sleepBody: string;
  user: string;
  passwordFile: string;
  /** Of a bearer token. */
  tokenFile: string;
  trust: Trust;
}

/** What is believed of a certificate. */
export interface Trust {
  /** Of the authority that signed it, or of itself; '' = those that the system knows. */
  caFile: string;
  /** Anything is believed. */
  skipVerify: boolean;
  /** How the keys of these two begin, for who is to change them. */
  keys: 'bmc' | 'http';
}

/** A controller on the machine's board: IPMI, Redfish. */
export interface BmcConfig {
  address: string;
  user: string;
  passwordFile: string;
  /** Of IPMI, for controllers that do not say which they know. */
  cipherSuite: string;
  /** Of Redfish: most have a certificate that they signed themselves. */
  trust: Trust;
}

export interface SshConfig {
  /** Of the machine itself. */
  host: string;
  /** Where the command to wake it is run: it can be run nowhere on a machine that sleeps. */
  wakeHost: string;
  user: string;
  port: string;
  keyFile: string;
  knownHosts: string;
}

const KEYS = [
  ...['method', 'wake_method', 'sleep_method', 'wake_command', 'sleep_command'],
  ...['wake_url', 'sleep_url', 'off_url', 'http_method', 'wake_body', 'sleep_body'],
  ...['http_user', 'http_password_file', 'http_token_file', 'http_ca_file', 'http_skip_verify'],
  ...['bmc_address', 'bmc_user', 'bmc_password_file', 'bmc_cipher_suite', 'bmc_ca_file', 'bmc_skip_verify'],
  ...['ssh_host', 'ssh_wake_host', 'ssh_user', 'ssh_port', 'ssh_key_file', 'ssh_known_hosts'],
  ...['wake_timeout', 'sleep_timeout', 'watts'],
];

/** Reads a target block. Throws an Error that names what is wrong. */
export function readConfig(config: Given): PowerConfig {
  const read: PowerConfig = {
    ...readNodesConfig(config, { target: 'power', more: KEYS }),
    ...methodsOf(config),
    wakeCommand: words(config['wake_command']),
    sleepCommand: words(config['sleep_command']),
    http: httpOf(config),
    bmc: bmcOf(config),
    ssh: sshOf(config),
    wakeTimeoutMs: durationMs(config, 'wake_timeout', 5 * 60),
    sleepTimeoutMs: durationMs(config, 'sleep_timeout', 3 * 60),
    watts: Number(config['watts'] ?? 0),
  };
  if (!(read.watts >= 0)) throw new Error(`watts is no number such as "120": "${config['watts']}"`);
  for (const [method, key] of needed(read)) {
    if ((config[key] ?? '').trim() === '') throw new Error(`method "${method}" needs ${key}`);
  }
  for (const key of ['wake_url', 'sleep_url', 'off_url']) checkUrl(config, key);
  return read;
}

function methodsOf(config: Given): Pick<PowerConfig, 'wake' | 'sleep'> {
  const method = oneOf(config, 'method', WAKE_METHODS, 'wol');
  // By ssh a machine that sleeps can only be woken from another one.
  const wake = method === 'ssh' && (config['ssh_wake_host'] ?? '') === '' ? 'wol' : method;
  return {
    wake: oneOf(config, 'wake_method', WAKE_METHODS, wake),
    sleep: oneOf(config, 'sleep_method', SLEEP_METHODS, method === 'wol' ? 'agent' : method),
  };
}

/** Keys without which a method cannot be. */
function needed({ wake, sleep }: PowerConfig): [string, string][] {
  const keys: Record<string, string[]> = {
    'wake ssh': ['ssh_wake_host', 'wake_command'],
    'sleep ssh': ['sleep_command'],
    'wake http': ['wake_url'],
    'sleep http': ['sleep_url'],
    'wake command': ['wake_command'],
    'sleep command': ['sleep_command'],
  };
  const bmc = ['bmc_address', 'bmc_user', 'bmc_password_file'];
  const keysOf = (way: string, method: string): [string, string][] =>
    (method === 'ipmi' || method === 'redfish' ? bmc : (keys[`${way} ${method}`] ?? [])).map((key) => [method, key]);
  return [...keysOf('wake', wake), ...keysOf('sleep', sleep)];
}

function httpOf(config: Given): HttpConfig {
  return {
    wakeUrl: config['wake_url'] ?? '',
    sleepUrl: config['sleep_url'] ?? '',
    offUrl: config['off_url'] ?? '',
    method: oneOf(config, 'http_method', ['POST', 'PUT', 'GET'] as const, 'POST'),
    wakeBody: config['wake_body'] ?? '',
    sleepBody: config['sleep_body'] ?? '',
    user: config['http_user'] ?? '',
    passwordFile: config['http_password_file'] ?? '',
    tokenFile: config['http_token_file'] ?? '',
    trust: trustOf(config, 'http'),
  };
}

function bmcOf(config: Given): BmcConfig {
  const cipherSuite = config['bmc_cipher_suite'] ?? '';
  if (!/^\d{0,2}$/.test(cipherSuite)) throw new Error(`bmc_cipher_suite is no number such as "17": "${cipherSuite}"`);
  return {
    address: config['bmc_address'] ?? '',
    user: config['bmc_user'] ?? '',
    passwordFile: config['bmc_password_file'] ?? '',
    cipherSuite,
    trust: trustOf(config, 'bmc'),
  };
}

function trustOf(config: Given, keys: Trust['keys']): Trust {
  const skipVerify = oneOf(config, `${keys}_skip_verify`, ['true', 'false'], 'false') === 'true';
  return { caFile: config[`${keys}_ca_file`] ?? '', skipVerify, keys };
}

function sshOf(config: Given): SshConfig {
  const port = config['ssh_port'] ?? '22';
  if (!/^\d{1,5}$/.test(port)) throw new Error(`ssh_port is no port: "${port}"`);
  return {
    host: config['ssh_host'] ?? '{address}',
    wakeHost: config['ssh_wake_host'] ?? '',
    user: config['ssh_user'] ?? 'root',
    port,
    keyFile: config['ssh_key_file'] ?? '',
    knownHosts: config['ssh_known_hosts'] ?? '',
  };
}

function checkUrl(config: Given, key: string): void {
  const text = config[key];
  if (text === undefined) return;
  const filled = text.replace(/\{[\w.-]+\}/g, 'x');
  const url = URL.canParse(filled) ? new URL(filled) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    throw new Error(`${key} is no address such as "http://plug.lan/on": "${text}"`);
  if (url.username !== '' || url.password !== '')
    throw new Error(`${key} must not have a password in it: name http_user and http_password_file`);
}

const words = (text: string | undefined): string[] => (text ?? '').split(/\s+/).filter((word) => word !== '');
