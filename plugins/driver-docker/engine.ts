import { readFile, stat } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type Docker from 'dockerode';
import { type ConfigProblem, DriverError } from '../../lib/plugin/sdk/driver.js';
import type { DockerConfig, DockerOptions } from './config.js';

/** A call that is answered when a container has ended. */
export interface WaitAsk {
  path: string;
  /** The query. */
  options?: Record<string, string>;
}

/** An engine that speaks Docker's API, and what is its own. */
export interface EngineKind {
  /** The driver's name. */
  name: string;
  /** What people call it. */
  title: string;
  /** The variable that says where it listens; '' = none. */
  endpointVariable: string;
  defaultEndpoint: string;
  /** The unit of systemd that starts it. */
  service: string;
  /** Its containers end with it, unless it is told otherwise. */
  holdsTasks: boolean;
  /** It looks a while for logging and volume drivers that it does not know. */
  seeksPlugins: boolean;
  /** A container has a name of its own also in a network that it shares. */
  namesEach: boolean;
  /** How a container's end is waited for. */
  wait: (containerId: string) => WaitAsk;
  decode: (config: Record<string, unknown>) => { config: DockerConfig } | { problems: ConfigProblem[] };
}

const SERVING_MS = 2_000;
const STOP_SIGNAL = 'SIGTERM';

/** An engine and where it listens. */
export interface EnginePlace {
  kind: EngineKind;
  endpoint: string;
}

/** Where the engine listens: the plugin's config, else the environment, else the usual socket. */
export function placeOf(options: DockerOptions, kind: EngineKind): EnginePlace {
  const { endpointVariable, defaultEndpoint } = kind;
  const named = endpointVariable === '' ? undefined : process.env[endpointVariable];
  return { kind, endpoint: options.endpoint || named || defaultEndpoint };
}

/** Throws ENOENT when the engine listens at a socket and there is none. Costs nothing of what a client of the engine costs. */
export async function ensureSocket({ endpoint }: EnginePlace): Promise<void> {
  const path = socketOf(endpoint);
  if (path !== null) await stat(path);
}

function socketOf(endpoint: string): string | null {
  if (endpoint.startsWith('unix://')) return endpoint.slice('unix://'.length);
  return endpoint.startsWith('/') ? endpoint : null;
}

/** A client of the engine; the package is loaded here (some 20 MB), when there is an engine or a task needs one. */
export async function connectEngine(options: DockerOptions, place: EnginePlace): Promise<Docker> {
  const { default: Engine } = await import('dockerode');
  return new Engine(await clientOptions(options, place));
}

/** Whether the engine takes new calls: one that ends does not, though it goes on with those that it has. */
export async function takesCalls(options: DockerOptions, place: EnginePlace): Promise<boolean> {
  const { default: Engine } = await import('dockerode');
  const client = await clientOptions(options, place);
  // One of its own keeps no connection, and so makes a new one.
  const agent = client.protocol === 'https' ? new HttpsAgent() : new HttpAgent();
  const fresh = { ...client, agent, timeout: SERVING_MS };
  try {
    await new Engine(fresh).ping();
    return true;
  } catch (error) {
    return statusOf(error) !== undefined;
  }
}

async function clientOptions(options: DockerOptions, { endpoint }: EnginePlace): Promise<Docker.DockerOptions> {
  const socketPath = socketOf(endpoint);
  if (socketPath !== null) return { socketPath };
  const url = new URL(endpoint.replace(/^tcp:/, options.tls ? 'https:' : 'http:'));
  const protocol = url.protocol === 'https:' ? 'https' : 'http';
  const port = url.port === '' ? (protocol === 'https' ? 2376 : 2375) : Number(url.port);
  return { host: url.hostname, port, protocol, ...(await tlsFiles(options)) };
}

async function tlsFiles(options: DockerOptions): Promise<{ ca?: Buffer; cert?: Buffer; key?: Buffer }> {
  if (!options.tls) return {};
  const { ca, cert, key } = options.tls;
  return {
    ...(ca === '' ? {} : { ca: await readFile(ca) }),
    ...(cert === '' ? {} : { cert: await readFile(cert) }),
    ...(key === '' ? {} : { key: await readFile(key) }),
  };
}

/** The status of an answer that refused, undefined when none came at all. */
export function statusOf(error: unknown): number | undefined {
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  return typeof status === 'number' ? status : undefined;
}

/** What the engine said, without the wrapping. */
export function reasonOf(error: unknown): string {
  const found = error as { json?: { message?: unknown }; message?: unknown } | null;
  const said = found?.json?.message ?? found?.message ?? error;
  return String(said)
    .replace(/^\(HTTP code \d+\) [\w ]+ - /, '')
    .trim();
}

/** No answer came: the engine is down, starting, or not ours to talk to. */
export function isUnreachable(error: unknown): boolean {
  if (statusOf(error) !== undefined) return false;
  const code = (error as { code?: unknown } | null)?.code;
  return ['ECONNREFUSED', 'ENOENT', 'EACCES', 'EPERM', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND'].includes(
    String(code),
  );
}

/** Says why there is no engine, and what to do. */
export function unreachableText(error: unknown, { kind, endpoint }: EnginePlace): string {
  const { title, service } = kind;
  const code = String((error as { code?: unknown } | null)?.code ?? '');
  if (code === 'ENOENT') return `no ${title} at ${endpoint}: there is no such socket; install or start ${kind.name}`;
  if (code === 'ECONNREFUSED') return `no ${title} listens at ${endpoint}; start it (systemctl start ${service})`;
  if (code === 'EACCES' || code === 'EPERM') {
    return `no permission to use the ${title} at ${endpoint}; let the agent's user use that socket`;
  }
  return `the ${title} at ${endpoint} does not answer: ${reasonOf(error)}`;
}

/** What failed in an engine that ends says nothing of the task: engines take their containers along, and fail at new ones. */
export async function unlessEnding(error: unknown, options: DockerOptions, place: EnginePlace): Promise<unknown> {
  if (!(error instanceof DriverError) || !error.recoverable || error.away) return error;
  if (await takesCalls(options, place)) return error;
  const message = `the ${place.kind.title} at ${place.endpoint} ends: ${error.message}`;
  return new DriverError(message, { recoverable: true, away: true, cause: error });
}

/** Turns what a call to the engine threw into an error of the task. */
export function engineError(error: unknown, what: string, place: EnginePlace): DriverError {
  if (error instanceof DriverError) return error;
  if (isUnreachable(error)) {
    // A socket that we may not use is there: that is for a person to mend.
    const away = !['EACCES', 'EPERM'].includes(String((error as { code?: unknown }).code));
    return new DriverError(`${what}: ${unreachableText(error, place)}`, { recoverable: true, away, cause: error });
  }
  // The engine answers 4xx to what is wrong with the request, which does not get better by itself.
  const status = statusOf(error) ?? 500;
  const reason = reasonOf(error);
  const isOurs = (status >= 400 && status < 500 && status !== 409) || NOT_THERE.test(reason);
  return new DriverError(`${what}: ${reason}`, { recoverable: !isOurs, cause: error });
}

/** What a job names and the image or the machine has not: engines answer 500 to it, as to what is wrong with themselves. */
const NOT_THERE =
  /gathering device information|stat \/dev\/\S+: no such file|\/proc\/sys\/\S+: no such file|unable to find (user|group)|no matching entries in (passwd|group) file|command that was not found/i;

/** What its image says to end a container with. */
export async function stopSignalOf(container: Docker.Container): Promise<string> {
  const { Config } = await container.inspect().catch(() => ({ Config: {} as { StopSignal?: string } }));
  return (Config as { StopSignal?: string }).StopSignal || STOP_SIGNAL;
}

/**
 * Waits for a container's end. Rejects when the connection is cut: the package's own wait() then never settles, since it
 * does not watch an answer that has begun.
 */
export async function waitForEnd(engine: Docker, ask: WaitAsk, signal: AbortSignal): Promise<void> {
  const answer = await new Promise<AsyncIterable<unknown>>((resolve, reject) => {
    engine.modem.dial(
      {
        ...ask,
        method: 'POST',
        isStream: true,
        abortSignal: signal,
        statusCodes: { 200: true, 404: 'no such container', 500: 'server error' },
      },
      (error, found) => (error ? reject(error) : resolve(found as AsyncIterable<unknown>)),
    );
  });
  // Its content is the exit code, which the container's state has too.
  for await (const _chunk of answer);
}
