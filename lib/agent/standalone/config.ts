import { LEASE_TTL_MAX_MS, LEASE_TTL_MS } from '../../autoscaler/index.js';
import { type Diagnostic, formatDiagnostic, hasErrors } from '../../hcl/index.js';
import { MACHINE_LIMITS } from '../../scaling/index.js';
import type { MachineLimits } from '../../scaling/machine.js';
import type { Millis } from '../../util/clock.js';
import type { LogLevel } from '../../util/log.js';
import { err, ok, type Result } from '../../util/result.js';
import type { ScalerSections } from '../config/config.js';
import {
  all,
  block,
  choice,
  duration,
  type Fields,
  flag,
  integer,
  labelled,
  replaced,
  text,
} from '../config/fields.js';
import { mergeBlock } from '../config/merge.js';
import type { ConfigFile } from '../config/parse.js';
import { Picker } from '../config/pick.js';
import { parseRaw } from '../config/raw.js';
import { type Checked, type Findings, readFields } from '../config/read.js';
import { SCALER_PLUGIN_FIELD } from '../config/schema-autoscaler.js';
import { scalerSections } from '../config/settle.js';

// The configuration of an autoscaler in a process of its own, in the words of Nomad's autoscaler.

/** Where the servers are, as the `nomad` block says; '' where it does not. */
export interface NomadSection {
  address: string;
  region: string;
  /** Whose policies count; '' = of all namespaces. */
  namespace: string;
  token: string;
  httpAuth: string;
  caCert: string;
  caPath: string;
  clientCert: string;
  clientKey: string;
  tlsServerName: string;
  skipVerify: boolean;
}

export interface StandaloneConfig {
  log: { level: LogLevel | null; json: boolean };
  pluginDir: string | null;
  stateDir: string | null;
  http: { address: string; port: number };
  nomad: NomadSection;
  policy: {
    dir: string | null;
    cooldownMs: Millis;
    evaluationIntervalMs: Millis;
    fromFiles: boolean;
    fromJobs: boolean;
  };
  /** Another one acts when this one was not heard of for so long. */
  leaseMs: Millis;
  slots: MachineLimits['slots'];
  patienceMs: MachineLimits['patienceMs'];
  apm: ScalerSections;
  strategy: ScalerSections;
  target: ScalerSections;
}

const PULLED = 'figures are pulled: /v1/metrics, with ?format=prometheus';
const ALWAYS = 'of all autoscalers one acts, always: it holds a lease at the servers';
const ENTERPRISE = 'it belongs to Nomad Enterprise';

const FIELDS: Fields = {
  log_level: choice('trace', 'debug', 'info', 'warn', 'error', 'off'),
  log_json: flag,
  plugin_dir: text,
  /** Where plugins that are programs keep what they must; not Nomad's. */
  state_dir: text,
  ...all('log_include_location enable_debug', replaced('there is nothing of the kind')),
  http: block({ bind_address: text, bind_port: integer }),
  nomad: block({
    ...all('address region namespace token http_auth', text),
    ...all('ca_cert ca_path client_cert client_key tls_server_name', text),
    skip_verify: flag,
    block_query_wait_time: replaced('the servers are asked anew whenever an answer comes'),
  }),
  policy: block({
    dir: text,
    ...all('default_cooldown default_evaluation_interval', duration),
    source: labelled({ enabled: flag }),
  }),
  policy_eval: block({
    ack_timeout: duration,
    delivery_limit: replaced('an evaluation that came to nothing comes again with the next interval'),
    workers: block(all('cluster horizontal', integer)),
  }),
  telemetry: block({
    ...all('prometheus_metrics disable_hostname enable_hostname_label', replaced(PULLED)),
    ...all('prometheus_retention_time collection_interval', replaced(PULLED)),
    ...all('statsite_address statsd_address dogstatsd_address dogstatsd_tags', replaced(PULLED)),
  }),
  high_availability: block({
    ...all('enabled lock_namespace lock_path lock_delay', replaced(ALWAYS)),
    lock_ttl: duration,
  }),
  dynamic_application_sizing: replaced(ENTERPRISE),
  ...all('apm strategy target', SCALER_PLUGIN_FIELD),
};

/** What the command line says; absent = nothing. */
export interface StandaloneFlags {
  logLevel?: string | undefined;
  logJson?: boolean | undefined;
  pluginDir?: string | undefined;
  policyDir?: string | undefined;
  httpAddress?: string | undefined;
  httpPort?: number | undefined;
}

/** The configuration out of its files, later ones over earlier ones, and the flags over all. The error is ready to print. */
export function loadStandalone(
  files: readonly ConfigFile[],
  flags: StandaloneFlags,
): Result<{ config: StandaloneConfig; notices: string[] }, string> {
  const findings: Findings = { diagnostics: [], replaced: new Map(), places: new Map() };
  const shape = { kind: 'block', fields: FIELDS } as const;
  let merged: Checked = {};
  for (const { name, source } of files) {
    const { root, diagnostics } = parseRaw(source, name);
    findings.diagnostics.push(...diagnostics);
    merged = mergeBlock(merged, readFields(root, FIELDS, '', findings), shape);
  }
  merged = mergeBlock(merged, flagsAsFile(flags), shape);
  const { diagnostics, replaced } = findings;
  if (hasErrors(diagnostics)) return err(diagnostics.map((one) => describe(one, files)).join('\n'));
  const config = settle(new Picker(merged));
  const problems = problemsOf(config, new Picker(merged));
  if (problems.length > 0) return err(problems.join('\n'));
  return ok({ config, notices: [...replaced].map(([path, instead]) => `"${path}" has no effect: ${instead}`) });
}

function describe(diagnostic: Diagnostic, files: readonly ConfigFile[]): string {
  const source = files.find(({ name }) => name === diagnostic.subject.filename)?.source ?? '';
  return formatDiagnostic(diagnostic, source);
}

function flagsAsFile(flags: StandaloneFlags): Checked {
  const given = (entries: Record<string, unknown>): Checked =>
    Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined));
  return given({
    log_level: flags.logLevel?.toLowerCase(),
    log_json: flags.logJson,
    plugin_dir: flags.pluginDir,
    policy: given({ dir: flags.policyDir }),
    http: given({ bind_address: flags.httpAddress, bind_port: flags.httpPort }),
  });
}

function settle(root: Picker): StandaloneConfig {
  const [http, policy, evaluation] = [root.section('http'), root.section('policy'), root.section('policy_eval')];
  const sources = policy.labelled('source', (_, source) => source.get('enabled', true));
  const workers = evaluation.section('workers');
  const level = root.get<LogLevel | 'off'>('log_level', 'info');
  const { horizontal, cluster } = MACHINE_LIMITS.slots;
  const ackMs: Millis = evaluation.get('ack_timeout', MACHINE_LIMITS.patienceMs.horizontal);
  return {
    log: { level: level === 'off' ? null : level, json: root.get('log_json', false) },
    pluginDir: root.text('plugin_dir'),
    stateDir: root.text('state_dir'),
    http: { address: http.get('bind_address', '127.0.0.1'), port: http.get('bind_port', 8080) },
    nomad: nomadOf(root.section('nomad')),
    policy: {
      dir: policy.text('dir'),
      cooldownMs: policy.get('default_cooldown', 300_000),
      evaluationIntervalMs: policy.get('default_evaluation_interval', 10_000),
      fromFiles: sources['file'] ?? true,
      fromJobs: sources['nomad'] ?? true,
    },
    leaseMs: root.section('high_availability').get('lock_ttl', LEASE_TTL_MS),
    slots: { horizontal: workers.get('horizontal', horizontal), cluster: workers.get('cluster', cluster) },
    patienceMs: {
      horizontal: ackMs,
      cluster: Math.max(ackMs, MACHINE_LIMITS.patienceMs.cluster),
    },
    apm: scalerSections(root, 'apm'),
    strategy: scalerSections(root, 'strategy'),
    target: scalerSections(root, 'target'),
  };
}

function nomadOf(nomad: Picker): NomadSection {
  const say = (key: string): string => nomad.get(key, '');
  return {
    address: say('address'),
    region: say('region'),
    namespace: say('namespace'),
    token: say('token'),
    httpAuth: say('http_auth'),
    caCert: say('ca_cert'),
    caPath: say('ca_path'),
    clientCert: say('client_cert'),
    clientKey: say('client_key'),
    tlsServerName: say('tls_server_name'),
    skipVerify: nomad.get('skip_verify', false),
  };
}

/** Its renewals must come in time, whatever else the machine does. */
const LEASE_MIN_MS: Millis = 10_000;
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', null];
const SOURCES = ['file', 'nomad'];

function problemsOf(config: StandaloneConfig, root: Picker): string[] {
  const problems: string[] = [];
  const require = (holds: boolean, message: string): void => {
    if (!holds) problems.push(message);
  };
  const { log, http, slots, policy, patienceMs, leaseMs } = config;
  require(LEVELS.includes(log.level), `log_level "${log.level}" is not one of trace, debug, info, warn, error, off`);
  require(http.port >= 0 &&
    http.port <= 65_535, `http.bind_port is ${http.port}; a port lies between 0 and 65535, and 0 is any free one`);
  for (const [key, count] of Object.entries(slots))
    require(count >= 1, `policy_eval.workers.${key} is ${count}; there must be at least one`);
  require(patienceMs.horizontal >= 1_000, 'policy_eval.ack_timeout must be at least 1s');
  require(leaseMs >= LEASE_MIN_MS &&
    leaseMs <= LEASE_TTL_MAX_MS, 'high_availability.lock_ttl must lie between 10s and 1h');
  require(policy.evaluationIntervalMs >= 1_000, 'policy.default_evaluation_interval must be at least 1s');
  for (const name of Object.keys(root.section('policy').labelled('source', () => true)))
    require(SOURCES.includes(name), `policy.source "${name}" is none of "${SOURCES.join('", "')}"`);
  return problems;
}
