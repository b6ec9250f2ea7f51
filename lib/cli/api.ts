import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Flags } from './command.js';

/** Nothing answered, or the answer was a refusal: the message is for the user as it is. */
export class ApiError extends Error {
  /** HTTP status, 0 when there was no answer. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
  }
}

export interface ApiReply<T> {
  value: T;
  index: number;
  /** Where the next page of a list begins; '' when there is none. */
  nextToken: string;
}

const LOCAL_ADDRESS = 'http://127.0.0.1:4646';
/** As an address: over the mesh, although an agent runs here. */
const OVER_MESH = 'mesh';
/** Names the API where it is reached over the mesh. */
const MESH_ADDRESS = 'http://server.mesh';
const LOCAL_WAIT_MS = 500;
const ASKS_MAX = 3;
const ASK_AGAIN_MS = 300;
/** What the mesh is asked. */
const OWN_PATHS = /^\/v1\/(mesh\b|agent\/(leave|net)\b)/;

export interface Connection {
  address: URL;
  region: string;
  namespace: string;
  token: string;
  /** `user:password` for a proxy before the agent; '' for none. */
  httpAuth: string;
  tls: { ca?: string[]; cert?: string; key?: string; servername?: string; rejectUnauthorized?: boolean };
  /** Set when the agent is reached over the mesh: the address then only names it. */
  mesh?: MeshApi;
}

/** A way to the API of a server over the mesh. */
export interface MeshApi {
  /** A connection, as bytes. */
  open(): Duplex;
  /** How it goes, for people: `via nas, direct, 14 ms`. */
  describe(): string;
  close(): Promise<void>;
}

type Query = Record<string, string | number | boolean | undefined>;
type WebsocketOptions = { headers: Record<string, string> } & Connection['tls'] &
  Pick<RequestOptions, 'createConnection'>;

/** A typed client of the HTTP API: every path below /v1, JSON both ways. */
export class ApiClient {
  readonly connection: Connection;
  /** What the last answer said of its age; '' when it was fresh. */
  staleness = '';

  constructor(connection: Connection) {
    this.connection = connection;
  }

  get address(): string {
    return this.connection.address.href.replace(/\/$/, '');
  }

  get<T>(path: string, query: Query = {}, headers: Record<string, string> = {}): Promise<ApiReply<T>> {
    return this.#json<T>('GET', path, query, { headers });
  }

  /** A report whose status says whether all is well: 429 has a body like 200. */
  report<T>(path: string, query: Query = {}): Promise<ApiReply<T>> {
    return this.#json<T>('GET', path, query, { also: 429 });
  }

  put<T>(path: string, body: unknown, query: Query = {}): Promise<ApiReply<T>> {
    return this.#json<T>('PUT', path, query, { body: JSON.stringify(body) });
  }

  /** Any request that can be given up; the answer as `get` has it. */
  ask<T>(
    method: 'GET' | 'PUT' | 'DELETE',
    path: string,
    { query = {}, body, signal }: { query?: Query; body?: unknown; signal: AbortSignal },
  ): Promise<ApiReply<T>> {
    const text = body === undefined ? {} : { body: JSON.stringify(body) };
    return this.#json<T>(method, path, query, { ...text, signal });
  }

  /** `headers`: what must stand in no address, for those are logged. */
  delete<T>(path: string, query: Query = {}, headers: Record<string, string> = {}): Promise<ApiReply<T>> {
    return this.#json<T>('DELETE', path, query, { headers });
  }

  /** Deletes what the body names. */
  remove<T>(path: string, body: unknown): Promise<ApiReply<T>> {
    return this.#json<T>('DELETE', path, {}, { body: JSON.stringify(body) });
  }

  /** The answer as it comes, for logs and files; destroy it to stop. */
  async stream(path: string, query: Query = {}): Promise<IncomingMessage> {
    const response = await this.#request('GET', path, query);
    if (response.statusCode === 200) return response;
    throw await refusal(response);
  }

  /** Any request, with the answer as it comes, refusals too; `headers` go before those that are made of the connection. */
  send(
    method: string,
    path: string,
    options: { body?: string; headers?: Record<string, string> },
  ): Promise<IncomingMessage> {
    return this.#request(method, path, {}, options.body, { headers: options.headers });
  }

  /** Sends a body as it comes from a file. */
  async upload<T>(path: string, body: AsyncIterable<Uint8Array>, query: Query = {}): Promise<ApiReply<T>> {
    const response = await this.#request('PUT', path, query, body);
    if (response.statusCode !== 200) throw await refusal(response);
    return this.#reply(response);
  }

  /** The address of a websocket, and the options it is to be opened with. */
  websocket(path: string, query: Query): { url: string; options: WebsocketOptions } {
    const url = this.#url(path, query);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    return { url: url.href, options: { headers: this.#headers(), ...this.connection.tls, ...this.#way() } };
  }

  /** Gives up the way over the mesh, if that is how it goes. */
  async close(): Promise<void> {
    await this.connection.mesh?.close();
  }

  #way(): Pick<RequestOptions, 'createConnection'> {
    const { mesh } = this.connection;
    return mesh ? { createConnection: () => mesh.open() } : {};
  }

  async #json<T>(
    method: string,
    path: string,
    query: Query,
    options: { body?: string; also?: number; headers?: Record<string, string>; signal?: AbortSignal },
  ): Promise<ApiReply<T>> {
    const { body, also = 200, headers, signal } = options;
    const ask = () => this.#request(method, path, query, body, { headers, signal });
    const response = await (method === 'GET' && this.connection.mesh ? askAgain(ask, signal) : ask());
    if (response.statusCode !== 200 && response.statusCode !== also) throw await refusal(response);
    return this.#reply(response);
  }

  async #reply<T>(response: IncomingMessage): Promise<ApiReply<T>> {
    // What an agent tells of itself is as new as can be, and says nothing of that.
    if (response.headers['x-nomad-knownleader'] !== undefined) this.staleness = stalenessOf(response);
    const text = await readText(response);
    const index = Number(response.headers['x-nomad-index'] ?? 0);
    const nextToken = String(response.headers['x-nomad-nexttoken'] ?? '');
    try {
      return { value: (text === '' ? null : JSON.parse(text)) as T, index, nextToken };
    } catch {
      throw new ApiError(
        200,
        `${this.connection.address.host} answered, but not with JSON: is it really an agent's HTTP API?`,
      );
    }
  }

  #url(path: string, query: Query): URL {
    // An agent behind a proxy may live below a path.
    const base = this.connection.address;
    const url = new URL(`${base.pathname.replace(/\/$/, '')}${path}`, base);
    const { region, namespace } = this.connection;
    for (const [key, value] of Object.entries({ region, namespace, ...query })) {
      if (value !== undefined && value !== '') url.searchParams.set(key, String(value));
    }
    return url;
  }

  #headers(): Record<string, string> {
    const { token, httpAuth } = this.connection;
    return {
      ...(token === '' ? {} : { 'X-Nomad-Token': token }),
      ...(httpAuth === '' ? {} : { Authorization: `Basic ${Buffer.from(httpAuth).toString('base64')}` }),
    };
  }

  async #request(
    method: string,
    path: string,
    query: Query,
    body?: string | AsyncIterable<Uint8Array>,
    { headers, signal }: { headers?: Record<string, string> | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<IncomingMessage> {
    const url = this.#url(path, query);
    const options: RequestOptions = {
      method,
      headers: { ...this.#headers(), ...headers, 'User-Agent': 'meshnomad' },
      ...(signal ? { signal } : {}),
      // Over the mesh each request has a stream of its own: those cost nothing, and cannot be kept like sockets.
      ...this.#way(),
    };
    if (typeof body === 'string') {
      options.headers = {
        ...options.headers,
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(body),
      };
    }
    const { request } = url.protocol === 'https:' ? await import('node:https') : await import('node:http');
    return new Promise((resolve, reject) => {
      const fail = (error: NodeJS.ErrnoException): void => reject(unreachable(error, this.connection.address));
      try {
        const call = request(url, { ...options, ...this.connection.tls }, resolve);
        call.on('error', fail);
        if (body === undefined || typeof body === 'string') call.end(body);
        else send(body, call, reject);
      } catch (error) {
        // Certificates that are none are found out here.
        fail(error as NodeJS.ErrnoException);
      }
    });
  }
}

/** A question over the mesh, asked anew when the link under it was lost: a laptop moves, and a monitor waits for minutes. */
async function askAgain(ask: () => Promise<IncomingMessage>, signal?: AbortSignal): Promise<IncomingMessage> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      const isLost = error instanceof ApiError && error.status === 0;
      if (!isLost || tries === ASKS_MAX || signal?.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
    }
  }
}

/** What is shown may be old when the server that was asked knows no leader. */
function stalenessOf({ headers }: IncomingMessage): string {
  if (headers['x-nomad-knownleader'] !== 'false') return '';
  if (headers['x-meshnomad-alone'] === 'true')
    return 'no server can be reached: this is what the machine that was asked knows of its own work';
  const seconds = Math.round(Number(headers['x-nomad-lastcontact'] ?? 0) / 1000);
  return `no leader for ${seconds} s: this is how it was then`;
}

/** Pours a body into a request; an answer that comes before its end is taken as it is. */
function send(body: AsyncIterable<Uint8Array>, call: ClientRequest, fail: (error: Error) => void): void {
  const run = async (): Promise<void> => {
    for await (const chunk of body) {
      if (call.destroyed) return;
      if (!call.write(chunk)) await new Promise((resolve) => call.once('drain', resolve).once('close', resolve));
    }
    call.end();
  };
  run().catch((error: Error) => {
    fail(error);
    call.destroy();
  });
}

async function refusal(response: IncomingMessage): Promise<ApiError> {
  const text = (await readText(response)).trim();
  const status = response.statusCode ?? 0;
  const { path = '' } = (response as IncomingMessage & { req?: { path?: string } }).req ?? {};
  // Scripts know Nomad's words for a refusal; what Nomad does not have speaks for itself.
  if (OWN_PATHS.test(path) && text !== '') return new ApiError(status, text);
  return new ApiError(status, `Unexpected response code: ${status} (${text})`);
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  } catch (error) {
    throw new ApiError(0, `the agent closed the connection in the middle of its answer: ${(error as Error).message}`);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function unreachable(error: NodeJS.ErrnoException, address: URL): ApiError {
  const at = address.host;
  switch (error.code) {
    case 'ECONNREFUSED':
      return new ApiError(
        0,
        `no agent answers at ${at}: start one ("meshnomad agent -dev" to try), or name another with -address or NOMAD_ADDR`,
      );
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new ApiError(0, `the name in ${at} is not known: check -address or NOMAD_ADDR`);
    case 'ECONNRESET':
      return new ApiError(
        0,
        `${at} closed the connection before it answered, as an agent does that ends: look through another one (-address or NOMAD_ADDR) whether this was done`,
      );
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return new ApiError(0, `the certificate of ${at} is not trusted (${error.message}): name its CA with -ca-cert`);
    default:
      if (/^ERR_OSSL|^ERR_SSL_NO/.test(error.code ?? ''))
        return new ApiError(0, `the certificate or key given cannot be used: ${error.message}`);
      if (error.code?.startsWith('HPE_') || error.code === 'EPROTO')
        return new ApiError(0, `${at} does not speak ${address.protocol.slice(0, -1)}: ${error.message}`);
      return new ApiError(0, `${at} cannot be reached: ${error.message || error.code}`);
  }
}

/**
 * A client for the agent that flags and environment name; else for the one on this machine; else, where none runs, for the mesh
 * that the user has a profile for.
 */
export async function connect(flags: Flags, env: Record<string, string | undefined>): Promise<ApiClient> {
  const pick = (flag: string, ...names: string[]): string => {
    const given = flags.string(flag);
    if (given !== undefined) return given;
    return names.map((name) => env[name]).find((value) => value !== undefined && value !== '') ?? '';
  };
  const given = pick('address', 'MESHNOMAD_ADDR', 'NOMAD_ADDR');
  const address = given === OVER_MESH ? '' : given;
  const mesh = address === '' ? await meshApi(env, { always: given === OVER_MESH }) : undefined;
  return new ApiClient({
    ...(mesh ? { mesh } : {}),
    address: parseAddress(address || (mesh ? MESH_ADDRESS : LOCAL_ADDRESS)),
    region: pick('region', 'NOMAD_REGION'),
    namespace: pick('namespace', 'NOMAD_NAMESPACE'),
    token: pick('token', 'NOMAD_TOKEN'),
    httpAuth: env['NOMAD_HTTP_AUTH'] ?? '',
    tls: await tlsOptions(pick, flags.bool('tls-skip-verify') || /^(1|true)$/i.test(env['NOMAD_SKIP_VERIFY'] ?? '')),
  });
}

/** The way over the mesh, for who has a profile where no agent runs. */
async function meshApi(
  env: Record<string, string | undefined>,
  { always }: { always: boolean },
): Promise<MeshApi | undefined> {
  const [{ profileDir }, { existsSync }] = await Promise.all([import('./places.js'), import('node:fs')]);
  const profile = profileDir(env);
  if (!existsSync(`${profile}/mesh/roster`)) {
    if (!always) return undefined;
    throw new ApiError(
      0,
      `there is no key for a mesh in ${profile}: "meshnomad invite -role operator" on a server, then "meshnomad operator login" here`,
    );
  }
  if (!always && (await answers(new URL(LOCAL_ADDRESS)))) return undefined;
  const [{ openSessionApi }, { VERSION }] = await Promise.all([import('./session.js'), import('./version.js')]);
  return (await openSessionApi({ profile, version: VERSION })) ?? ownWay(profile, VERSION);
}

/** Where no session can run, a command links by itself. */
async function ownWay(profile: string, version: string): Promise<MeshApi> {
  const { openOperatorApi } = await import('../agent/mesh/operator.js');
  let api: Awaited<ReturnType<typeof openOperatorApi>> | undefined;
  try {
    api = await openOperatorApi({ profile, version });
    await api.ready();
    return api;
  } catch (error) {
    await api?.close();
    throw new ApiError(0, (error as Error).message);
  }
}

/** Whether anybody listens there: said at once on this machine. */
async function answers({ hostname: host, port }: URL): Promise<boolean> {
  const { connect: dial } = await import('node:net');
  return new Promise((resolve) => {
    const socket = dial({ host, port: Number(port), timeout: LOCAL_WAIT_MS });
    const end = (found: boolean): void => {
      socket.destroy();
      resolve(found);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
    socket.once('timeout', () => end(false));
  });
}

function parseAddress(text: string): URL {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    url = undefined;
  }
  if (url && (url.protocol === 'http:' || url.protocol === 'https:')) return url;
  throw new ApiError(0, `${JSON.stringify(text)} is no address of an agent: write it as http://127.0.0.1:4646`);
}

async function tlsOptions(
  pick: (flag: string, ...names: string[]) => string,
  skipVerify: boolean,
): Promise<Connection['tls']> {
  const caCert = pick('ca-cert', 'NOMAD_CACERT');
  const caPath = pick('ca-path', 'NOMAD_CAPATH');
  const cert = pick('client-cert', 'NOMAD_CLIENT_CERT');
  const key = pick('client-key', 'NOMAD_CLIENT_KEY');
  const servername = pick('tls-server-name', 'NOMAD_TLS_SERVER_NAME');
  const tls: Connection['tls'] = {};
  if (caCert || caPath || cert || key) {
    const { readdirSync, readFileSync } = await import('node:fs');
    const attempt = <T>(file: string, get: () => T): T => {
      try {
        return get();
      } catch (error) {
        throw new ApiError(0, `cannot read ${file}: ${(error as Error).message}`);
      }
    };
    const read = (file: string): string => attempt(file, () => readFileSync(file, 'utf8'));
    const files = [
      ...(caCert ? [caCert] : []),
      ...(caPath ? attempt(caPath, () => readdirSync(caPath)).map((name) => `${caPath}/${name}`) : []),
    ];
    if (files.length > 0) tls.ca = files.map(read);
    if (cert) tls.cert = read(cert);
    if (key) tls.key = read(key);
  }
  if (servername) tls.servername = servername;
  if (skipVerify) tls.rejectUnauthorized = false;
  return tls;
}
