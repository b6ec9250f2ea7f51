import { randomBytes } from 'node:crypto';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Autoscaler, holdLease, startAutoscaler } from '../../autoscaler/index.js';
import { createScalers, type ScalerSet } from '../../plugin/scalers.js';
import type { ScalingStandings } from '../../structs/rpc-scaling.js';
import type { RpcCaller } from '../../transport/rpc.js';
import { createLog, type Log } from '../../util/log.js';
import { scalerLog, tellBroken } from '../autoscaler.js';
import { createAutoscalerMetrics } from '../autoscaler-metrics.js';
import { scalerBlocks, startPolicies } from '../autoscaler-settings.js';
import { readConfigFiles } from '../config/index.js';
import { logSink } from '../log-sink.js';
import { createMetrics } from '../metrics.js';
import { type PolicyDir, readPolicyDir } from '../policy-dir.js';
import { type AgentApi, rpcOverApi } from './api-rpc.js';
import { loadStandalone, type NomadSection, type StandaloneConfig, type StandaloneFlags } from './config.js';
import { serveStandalone } from './serve.js';

/** Whoever acted until now has heard by then that this one does. */
const HANDOVER_MS = 5_000;
/** How often the servers hear how the policies fare. */
const REPORT_MS = 2_000;

/** How an autoscaler is asked for on the command line. */
export interface StandaloneRequest {
  configPaths: string[];
  flags: StandaloneFlags;
  /** Makes the way to the servers; an error is for the user as it is. */
  connect(nomad: NomadSection): Promise<AgentApi & { readonly address: string; close(): Promise<void> }>;
}

/** Runs an autoscaler in this process until a signal ends it; resolves to the exit code. */
export async function runStandalone(
  request: StandaloneRequest,
  output: { out(text: string): void; error(text: string): void },
): Promise<number> {
  const files = await readConfigFiles(request.configPaths);
  const loaded = files.ok ? loadStandalone(files.value, request.flags) : files;
  if (!loaded.ok) return fail(output, loaded.error);
  const { config, notices } = loaded.value;
  const problems: string[] = [];
  const pluginDir = config.pluginDir === null ? null : resolve(config.pluginDir);
  const blocks = await scalerBlocks(config, { pluginDir, problems, at: '' });
  const policies = startPolicies(policyDirOf(config), problems);
  if (problems.length > 0) return fail(output, problems.join('\n'));
  const sink = logSink({ ...config.log, out: (line) => void process.stdout.write(`${line}\n`) });
  const log = createLog((record) => sink.write(record));
  const api = await request.connect(config.nomad);
  const name = `${hostname()}/${randomBytes(4).toString('hex')}`;
  const rpc = rpcOverApi(api);
  const scalers = createScalers({
    ...blocks,
    rpc,
    nomad: () => nomadKeys(config.nomad, api.address),
    pluginDir,
    stateDir:
      config.stateDir === null ? join(tmpdir(), `meshnomad-autoscaler-${process.pid}`) : resolve(config.stateDir),
    log: scalerLog(log),
  });
  const standalone = new Standalone({ config, name, policies, rpc, scalers, log });
  try {
    const served = await serveStandalone(config.http, standalone);
    for (const notice of notices) log.warn(notice);
    output.out(`==> meshnomad autoscaler ${name} started; it tells of itself at ${config.http.address}:${served.port}`);
    await standalone.run(untilEnded(() => standalone.reload(), log));
    await served.close();
    return 0;
  } catch (error) {
    return fail(output, (error as Error).message);
  } finally {
    await scalers.close();
    await api.close();
  }
}

interface StandaloneWorld {
  config: StandaloneConfig;
  name: string;
  policies: PolicyDir;
  rpc: RpcCaller;
  scalers: ScalerSet;
  log: Log;
}

/** Acts while it holds the lease, and tells the servers what it does. */
class Standalone {
  private readonly world: StandaloneWorld;
  private readonly figures = createAutoscalerMetrics();
  private readonly process = createMetrics();
  private policies: PolicyDir;
  private running: Autoscaler | undefined;
  private handover: ReturnType<typeof setTimeout> | undefined;
  private ended: Promise<void> = Promise.resolve();

  constructor(world: StandaloneWorld) {
    this.world = world;
    this.policies = world.policies;
    this.process.add(() => this.figures.points(this.standing().Policies));
  }

  standing(): ScalingStandings {
    return { Enabled: true, Holder: this.world.name, Policies: this.running?.standing() ?? [] };
  }

  metrics = () => this.process.read();

  /** Reads the policy files again; returns what is wrong with them. */
  reload(): string[] {
    const { config, log } = this.world;
    const dir = policyDirOf(config);
    if (dir !== null) this.policies = readPolicyDir(dir, this.policies);
    tellBroken(this.policies, log);
    this.running?.replaceFiles(this.policies);
    log.info('policies read again', { count: this.policies.policies.length });
    return this.policies.broken.map(({ why }) => why);
  }

  /** Until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { rpc, name, log, config } = this.world;
    const reports = setInterval(() => void this.report(), REPORT_MS);
    await holdLease(
      { rpc, nowMs: () => performance.now(), signal, log },
      {
        name,
        ttlMs: config.leaseMs,
        onHeld: (holds) => this.begin(holds),
        onLost: () => this.end(),
        onEnd: () => this.stop(),
      },
    );
    clearInterval(reports);
    await this.tell(null);
  }

  private begin(mayAct: () => boolean): void {
    const { log } = this.world;
    log.info('holds the lease: begins when whoever acted before has heard of it');
    this.handover = setTimeout(() => {
      void this.ended.then(() => {
        if (this.handover !== undefined) this.running = this.start(mayAct);
      });
    }, HANDOVER_MS);
  }

  private start(mayAct: () => boolean): Autoscaler {
    const { config, rpc, scalers, log } = this.world;
    const { policy, slots, patienceMs, nomad } = config;
    return startAutoscaler({
      rpc,
      filePolicies: this.policies,
      jobPolicies: policy.fromJobs,
      ...(nomad.namespace === '' ? {} : { namespace: nomad.namespace }),
      limits: { slots, patienceMs },
      mayAct,
      scalers,
      now: () => Date.now(),
      log,
      defaults: { evaluationIntervalMs: policy.evaluationIntervalMs, cooldownMs: policy.cooldownMs },
      onReport: this.figures.count,
    });
  }

  private end(): void {
    clearTimeout(this.handover);
    this.handover = undefined;
    const { running } = this;
    this.running = undefined;
    if (running) this.ended = running.stop();
  }

  private async stop(): Promise<void> {
    this.end();
    await this.ended;
  }

  private async report(): Promise<void> {
    if (this.running) await this.tell(this.standing().Policies);
  }

  /** Servers of another kind do not listen; who acts does not depend on it. */
  private async tell(policies: ScalingStandings['Policies'] | null): Promise<void> {
    const { rpc, name } = this.world;
    await rpc
      .call('Scaling.Report', { Holder: name, Policies: policies }, { timeoutMs: 5 * REPORT_MS })
      .catch(() => {});
  }
}

/** For plugins that are programs, which ask the servers by themselves. */
function nomadKeys(nomad: NomadSection, address: string): Record<string, string> {
  const said = {
    nomad_address: address,
    nomad_region: nomad.region,
    nomad_namespace: nomad.namespace,
    nomad_token: nomad.token,
    'nomad_http-auth': nomad.httpAuth,
    'nomad_ca-cert': nomad.caCert,
    'nomad_ca-path': nomad.caPath,
    'nomad_client-cert': nomad.clientCert,
    'nomad_client-key': nomad.clientKey,
    'nomad_tls-server-name': nomad.tlsServerName,
    'nomad_skip-verify': nomad.skipVerify ? 'true' : '',
  };
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== ''));
}

const policyDirOf = ({ policy }: StandaloneConfig): string | null => (policy.fromFiles ? policy.dir : null);

function fail(output: { error(text: string): void }, message: string): number {
  output.error(`==> ${message}`);
  return 1;
}

/** Aborted by SIGINT or SIGTERM, which end at once when they come again; SIGHUP reads the policies again. */
function untilEnded(reload: () => void, log: Log): AbortSignal {
  const ending = new AbortController();
  const end = (signal: NodeJS.Signals): void => {
    if (ending.signal.aborted) process.exit(1);
    log.info('shutting down; the same signal again ends at once', { signal });
    ending.abort();
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  process.on('SIGHUP', () => reload());
  return ending.signal;
}
