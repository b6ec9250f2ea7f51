import { appendFileSync } from 'node:fs';
import { type Diagnostic, formatDiagnostic } from '../hcl/index.js';
import { createLog, type Log } from '../util/log.js';
import { err, ok, type Result } from '../util/result.js';
import { type Agent, startAgent } from './agent.js';
import {
  type AgentConfig,
  type AgentFlags,
  diffReloadable,
  loadAgentConfig,
  machineAddresses,
  readConfigFiles,
} from './config/index.js';
import { reloadableClient, settingsFromConfig } from './from-config.js';
import { type LogSink, logSink } from './log-sink.js';

/** How an agent is asked for on the command line. */
export interface AgentRequest {
  configPaths: string[];
  flags: AgentFlags;
  dev: boolean;
  version: string;
}

/** Where an agent's own words go. */
export interface AgentOutput {
  out(text: string): void;
  error(text: string): void;
}

/** The configuration that files and flags ask for, or what is wrong with it, ready to print. */
export async function readConfiguration(
  request: AgentRequest,
): Promise<Result<{ config: AgentConfig; notices: readonly string[] }, string>> {
  const files = await readConfigFiles(request.configPaths);
  if (!files.ok) return files;
  const loaded = loadAgentConfig({
    files: files.value,
    flags: request.flags,
    dev: request.dev,
    interfaces: machineAddresses(),
  });
  if (loaded.ok) return loaded;
  const sources = new Map(files.value.map(({ name, source }) => [name, source]));
  return err(loaded.error.map((diagnostic) => describe(diagnostic, sources)).join('\n'));
}

function describe(diagnostic: Diagnostic, sources: ReadonlyMap<string, string>): string {
  return formatDiagnostic(diagnostic, sources.get(diagnostic.subject.filename) ?? '');
}

/** Runs an agent until a signal ends it; resolves to the exit code. SIGINT or SIGTERM once ends it in order, twice at once. */
export async function runAgent(request: AgentRequest, output: AgentOutput): Promise<number> {
  const read = await readConfiguration(request);
  if (!read.ok) return fail(output, read.error);
  const { config } = read.value;
  const worked = await settingsFromConfig(config, request.version);
  if (!worked.ok) return fail(output, worked.error);
  const settings = worked.value;

  const sink = openSink(config);
  const log = createLog((record) => sink.write(record));
  let running = config;
  const reload = async (agent: Agent): Promise<Result<string[], string>> => {
    const outcome = await reloadConfiguration(request, { running, agent, sink, log });
    if (outcome.ok) running = outcome.value.config;
    return outcome.ok ? ok(outcome.value.applied) : outcome;
  };
  output.out('==> Starting meshnomad agent...');
  let agent: Agent;
  try {
    agent = await startAgent({ settings, log, random: { next: Math.random }, reload });
  } catch (error) {
    return fail(output, `Error starting agent: ${(error as Error).message}`);
  }
  for (const notice of read.value.notices) log.warn(notice);
  output.out(banner(config, settings.http.hosts, agent.httpPort, request));
  return untilEnded(agent, log, reload);
}

function fail(output: AgentOutput, message: string): number {
  output.error(`==> ${message}`);
  return 1;
}

function openSink(config: AgentConfig): LogSink {
  const { file, json, level } = config.log;
  const write =
    file === null
      ? (line: string) => void process.stdout.write(`${line}\n`)
      : (line: string) => appendFileSync(file, `${line}\n`, { mode: 0o600 });
  return logSink({ level, json, out: write });
}

function banner(config: AgentConfig, hosts: string[], port: number, { version, configPaths }: AgentRequest): string {
  const rows: [string, string][] = [
    [
      'API',
      hosts
        .map((host) => `${config.tls.http ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`)
        .join(', '),
    ],
    ['Client', String(config.client.enabled)],
    ['Configuration', configPaths.join(', ') || '(none)'],
    ['Data', config.dataDir ?? '(none: nothing is kept)'],
    ['Log Level', (config.log.level ?? 'off').toUpperCase()],
    ['Node', config.nodeName ?? '(name of the host)'],
    ['Region', `${config.region} (DC: ${config.datacenter})`],
    ['Server', String(config.server.enabled)],
    ['Version', version],
  ];
  const lines = rows.map(([key, value]) => `${key.padStart(16)}: ${value}`);
  return [
    '==> meshnomad agent configuration:',
    '',
    ...lines,
    '',
    '==> meshnomad agent started! Log data will stream in below:',
    '',
  ].join('\n');
}

interface ReloadState {
  running: AgentConfig;
  agent: Agent;
  sink: LogSink;
  log: Log;
}

/** Reads the files again: what can be taken over is, what cannot is said. A mistake in them changes nothing. */
async function reloadConfiguration(
  request: AgentRequest,
  state: ReloadState,
): Promise<Result<{ config: AgentConfig; applied: string[] }, string>> {
  const { running, agent, sink, log } = state;
  const read = await readConfiguration(request);
  if (!read.ok) {
    log.error('the configuration was not reloaded', { error: read.error });
    return read;
  }
  const { config } = read.value;
  const { reloadable, needsRestart } = diffReloadable(running, config);
  sink.level = config.log.level;
  if (reloadable.some((path) => path.startsWith('client.'))) agent.client?.reload(reloadableClient(config));
  log.info('configuration reloaded', { changed: reloadable.join(', ') || 'nothing' });
  if (needsRestart.length > 0)
    log.warn('these changes take effect when the agent is started again', { keys: needsRestart.join(', ') });
  const applied = {
    ...running,
    log: { ...running.log, level: config.log.level },
    client: { ...running.client, meta: config.client.meta, hostVolumes: config.client.hostVolumes },
  };
  return ok({ config: applied, applied: [...reloadable] });
}

function untilEnded(agent: Agent, log: Log, reload: (agent: Agent) => Promise<unknown>): Promise<number> {
  return new Promise((resolve) => {
    let ending = false;
    const end = (signal: NodeJS.Signals): void => {
      if (ending) {
        log.warn('ending at once', { signal });
        process.exit(1);
      }
      ending = true;
      log.info('shutting down; the same signal again ends at once', { signal });
      agent.shutdown().then(
        () => resolve(0),
        (error: unknown) => {
          log.error('the shutdown was not clean', { error: error instanceof Error ? error.message : String(error) });
          resolve(1);
        },
      );
    };
    process.on('SIGINT', end);
    process.on('SIGTERM', end);
    process.on('SIGHUP', () => void reload(agent));
    // An agent whose terminal has gone must not die of its next log line.
    process.stdout.on('error', () => {});
    process.stderr.on('error', () => {});
  });
}
