import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Diagnostic, formatDiagnostic } from '../hcl/index.js';
import { removeTree } from '../plugin/sdk/remove-tree.js';
import type { MeshRole } from '../structs/mesh.js';
import { createLog, type Log } from '../util/log.js';
import { absentText } from '../util/replaced.js';
import { err, ok, type Result } from '../util/result.js';
import { type Agent, type MeshView, startAgent } from './agent.js';
import {
  type AgentConfig,
  type AgentFlags,
  diffReloadable,
  loadAgentConfig,
  machineAddresses,
  readConfigFiles,
} from './config/index.js';
import { drainOnShutdown } from './drain-on-shutdown.js';
import { meshFolder, reloadableClient, settingsFromConfig } from './from-config.js';
import { type LogSink, logSink } from './log-sink.js';
import type { MeshStep } from './mesh/enter.js';
import { membershipIn } from './mesh/membership.js';
import type { Entry } from './mesh/start.js';

/** How an agent is asked for on the command line. */
export interface AgentRequest {
  /** Where state is kept when nothing says so. */
  dataDirDefault?: string;
  /** How it is to come into its mesh, if it is to. */
  entry?: Entry;
  /** Done with it once it is in its mesh; absent = it runs until a signal ends it. */
  enterOnly?: boolean;
  configPaths: string[];
  flags: AgentFlags;
  dev: boolean;
  version: string;
}

/** So long the first screen waits for a link to tell of. */
const FIRST_LINK_MS = 10_000;

/** Where an agent's own words go. */
export interface AgentOutput {
  out(text: string): void;
  error(text: string): void;
  /** Hears what happens on the way into the mesh, and that the agent runs, in place of the usual banner. */
  story?: {
    step(step: MeshStep): void;
    started(about: StartedAgent): void;
  };
}

/** An agent that runs, for its first screen. */
export interface StartedAgent {
  dataDir: string;
  api: string;
  /** What it does, in words. */
  roles: string;
  /** Null: it is in no mesh. */
  mesh: MeshView | null;
}

/** The configuration that files and flags ask for, or what is wrong with it, ready to print. */
export async function readConfiguration(
  request: AgentRequest,
  assumed?: MeshRole,
): Promise<Result<{ config: AgentConfig; notices: readonly string[] }, string>> {
  const files = await readConfigFiles(request.configPaths);
  if (!files.ok) return files;
  const loaded = loadAgentConfig({
    files: files.value,
    flags: request.flags,
    dev: request.dev,
    ...(request.dataDirDefault === undefined ? {} : { dataDirDefault: request.dataDirDefault }),
    // A person's profile runs nothing, and a machine that is about to join will know soon.
    roleIn: (dataDir) => memberIn(dataDir)?.role ?? assumed,
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
  const entered = await enter(request, output);
  if (!entered.ok) return fail(output, entered.error);
  if (request.enterOnly) return 0;
  const read = await readConfiguration(request);
  if (!read.ok) return fail(output, read.error);
  const { config } = read.value;
  const member = config.dataDir === null ? undefined : memberIn(config.dataDir);
  const worked = await settingsFromConfig(config, { version: request.version, member });
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
  if (!output.story) output.out('==> Starting meshnomad agent...');
  let agent: Agent;
  let wantsRestart = false;
  const ending = endOnceStarted();
  try {
    agent = await startAgent({
      settings,
      log,
      listen: sink.listen,
      random: { next: Math.random },
      reload,
      end: (why, { restart } = { restart: false }) => {
        log.info('the agent ends', { why });
        wantsRestart ||= restart;
        ending.ask();
      },
    });
  } catch (error) {
    // Of the place that was made for the tasks of an agent that keeps nothing nobody else knows.
    const isOurs = config.dataDir === null && config.client.allocDir === null;
    if (isOurs && settings.client) await removeTree(settings.client.allocDir).catch(() => {});
    return fail(output, `Error starting agent: ${absentText(error) ?? (error as Error).message}`);
  }
  for (const notice of read.value.notices) log.warn(notice);
  if (output.story) {
    const api = `${settings.http.tls ? 'https' : 'http'}://${settings.http.hosts[0]}:${agent.httpPort}`;
    const roles = [...(settings.server ? ['server'] : []), ...(settings.client ? ['client'] : [])].join(' and ');
    void firstLink(agent).then((mesh) => output.story?.started({ dataDir: settings.dataDir ?? '', api, roles, mesh }));
  } else output.out(banner(config, settings.http.hosts, agent.httpPort, request));
  // Who ends because it left its mesh, or to begin anew, has nothing to move.
  const leave = async (signal: NodeJS.Signals): Promise<void> => {
    if (!ending.isAsked()) await drainBeforeEnd(config, { signal, agent, log });
  };
  const ended = untilEnded(agent, { log, reload, leave });
  ending.allow();
  const code = await ended;
  return wantsRestart ? 1 : code;
}

/** A mesh is looked for on the disk without loading what speaks to one. */
function memberIn(dataDir: string): { mesh: string; name: string; role: MeshRole } | undefined {
  return existsSync(join(meshFolder(dataDir), 'roster')) ? membershipIn(resolve(dataDir)) : undefined;
}

/** Comes into the mesh, if that is asked on the command line or in the configuration. */
async function enter(request: AgentRequest, output: AgentOutput): Promise<Result<void, string>> {
  const asked = request.entry;
  const read = await readConfiguration(request, asked ? 'client' : undefined);
  const keyFile = (config: AgentConfig): string | null => (asked ? null : config.mesh.joinKeyFile);
  if (!asked && read.ok && keyFile(read.value.config) === null) return ok(undefined);
  const assumedRead = read.ok ? read : await readConfiguration(request, 'client');
  if (!assumedRead.ok) return asked ? assumedRead : read.ok ? ok(undefined) : read;
  const { config } = assumedRead.value;
  let entry = asked;
  const path = keyFile(config);
  if (path !== null && (config.dataDir === null || !memberIn(config.dataDir))) {
    const key = readKeyFile(path);
    if (!key.ok) return key;
    entry = { kind: 'join-once', invite: key.value };
  }
  if (!entry) return ok(undefined);
  const { enterMesh } = await import('./mesh/start.js');
  return enterMesh(entry, config, {
    version: request.version,
    onStep: (step) => (output.story ? output.story.step(step) : output.out(`==> ${JSON.stringify(step)}`)),
  });
}

function readKeyFile(path: string): Result<string, string> {
  try {
    return ok(readFileSync(path, 'utf8').trim());
  } catch (error) {
    return err(`mesh.join_key_file: cannot read ${path}: ${(error as Error).message}`);
  }
}

/** The mesh as the agent sees it once the first link stands; as it is when that takes too long. */
async function firstLink(agent: Agent): Promise<MeshView | null> {
  const until = performance.now() + FIRST_LINK_MS;
  for (;;) {
    const mesh = agent.mesh();
    if (mesh === null || mesh.alone || mesh.links.length > 0 || performance.now() > until) return mesh;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
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
  const hasNews = reloadable.some((path) => path.startsWith('client.'));
  agent.client?.reload(hasNews ? reloadableClient(config) : {});
  agent.reloadPolicies(config.autoscaler.policyDir);
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

/** An end that is asked for while the agent starts waits until it can be an orderly one. */
function endOnceStarted(): { ask(): void; allow(): void; isAsked(): boolean } {
  let [isAsked, isAllowed] = [false, false];
  const end = (): void => {
    if (isAsked && isAllowed) process.kill(process.pid, 'SIGTERM');
  };
  return {
    ask() {
      isAsked = true;
      end();
    },
    allow() {
      isAllowed = true;
      end();
    },
    isAsked: () => isAsked,
  };
}

async function drainBeforeEnd(
  { client, leaveOnInterrupt, leaveOnTerminate }: AgentConfig,
  { signal, agent, log }: { signal: NodeJS.Signals; agent: Agent; log: Log },
): Promise<void> {
  const leaves = signal === 'SIGINT' ? leaveOnInterrupt : leaveOnTerminate;
  const { drainOnShutdown: drain } = client;
  const { client: node, rpc } = agent;
  if (!leaves || !drain || !node) return;
  const { ID: NodeID, SecretID } = node.node();
  await drainOnShutdown({
    drain,
    node: { NodeID, SecretID },
    rpc,
    killMaxMs: client.maxKillTimeoutMs,
    running: () => node.stats().allocs['running'] ?? 0,
    now: () => performance.now(),
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    log,
  });
}

interface EndOptions {
  log: Log;
  reload: (agent: Agent) => Promise<unknown>;
  /** What is done before it ends, while it still works as before. */
  leave: (signal: NodeJS.Signals) => Promise<void>;
}

function untilEnded(agent: Agent, { log, reload, leave }: EndOptions): Promise<number> {
  return new Promise((resolve) => {
    let ending = false;
    const end = (signal: NodeJS.Signals): void => {
      if (ending) {
        log.warn('ending at once', { signal });
        process.exit(1);
      }
      ending = true;
      log.info('shutting down; the same signal again ends at once', { signal });
      leave(signal)
        .then(() => agent.shutdown())
        .then(
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
