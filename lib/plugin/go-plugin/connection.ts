import { existsSync } from 'node:fs';
import { Readable, type Writable } from 'node:stream';
import type { Client, ClientDuplexStream, ClientReadableStream, Metadata, ServiceError } from '@grpc/grpc-js';
import { type KeyPair, pemOfCertificate } from './certificate.js';
import type { PluginAddress } from './handshake.js';
import { findMethod, type ProtoFile } from './protos.js';

/** A plugin that answers with more is refused: no answer of a plugin is nearly as long. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
const REQUEST_BYTES_MAX = 64 * 1024 * 1024;
const CONNECT_MS = 3_000;

/** One method of a plugin. */
export interface Method {
  file: ProtoFile;
  /** With its package. */
  service: string;
  name: string;
}

export interface CallOptions {
  /** Null: as long as it takes. */
  timeoutMs: number | null;
  signal?: AbortSignal;
}

/** Why a call to a plugin did not succeed. */
export class PluginCallError extends Error {
  /** gRPC's name for it ("UNAVAILABLE", "UNIMPLEMENTED", …). */
  readonly status: string;
  /** What the plugin adds for programs: `grpc-status-details-bin`. */
  readonly details: Buffer | null;

  constructor(message: string, options: { status: string; details: Buffer | null; cause: unknown }) {
    super(message, { cause: options.cause });
    this.name = 'PluginCallError';
    this.status = options.status;
    this.details = options.details;
  }
}

/** A stream of answers; `Readable` in object mode. */
export type AnswerStream<T> = Readable & AsyncIterable<T>;

/** The gRPC connection to a running plugin. */
export interface Connection {
  call<T>(method: Method, request: object, options: CallOptions): Promise<T>;
  /** A call answered with many messages; ends with an `error` event of PluginCallError. */
  stream<T>(method: Method, request: object, signal: AbortSignal): Promise<AnswerStream<T>>;
  /** Messages both ways. */
  duplex<T>(method: Method, signal: AbortSignal): Promise<{ answers: AnswerStream<T>; requests: Writable }>;
  close(): void;
}

/** Connects to a plugin. Throws PluginCallError when nobody answers there, or answers with another certificate. */
export async function connectPlugin(address: PluginAddress, own: KeyPair): Promise<Connection> {
  const grpc = await import('@grpc/grpc-js');
  const nobody = `nobody answers on ${address.network} ${address.address}`;
  const unavailable = (message: string, cause: unknown): PluginCallError =>
    new PluginCallError(message, { status: 'UNAVAILABLE', details: null, cause });
  if (address.network === 'unix' && !existsSync(address.address)) throw unavailable(nobody, null);
  const target = address.network === 'unix' ? `unix:${address.address}` : `ipv4:${address.address}`;
  const credentials =
    address.certificate === null
      ? grpc.credentials.createInsecure()
      : grpc.credentials.createSsl(
          Buffer.from(pemOfCertificate(address.certificate)),
          Buffer.from(own.keyPem),
          Buffer.from(own.certificatePem),
        );
  const client = new grpc.Client(target.replace('ipv4:localhost:', 'ipv4:127.0.0.1:'), credentials, {
    'grpc.max_receive_message_length': ANSWER_BYTES_MAX,
    'grpc.max_send_message_length': REQUEST_BYTES_MAX,
    'grpc.enable_http_proxy': 0,
    'grpc.enable_retries': 0,
    'grpc.default_authority': 'localhost',
    'grpc.ssl_target_name_override': 'localhost',
    'grpc.initial_reconnect_backoff_ms': 100,
  });
  try {
    await new Promise<void>((resolve, reject) => {
      client.waitForReady(Date.now() + CONNECT_MS, (error) => (error ? reject(error) : resolve()));
    });
  } catch (cause) {
    client.close();
    throw unavailable(`${nobody}, or not with the certificate it named`, cause);
  }
  return new GrpcConnection(client, new grpc.Metadata(), (code) => grpc.status[code] ?? String(code));
}

class GrpcConnection implements Connection {
  readonly #client: Client;
  readonly #metadata: Metadata;
  readonly #nameOf: (code: number) => string;

  constructor(client: Client, metadata: Metadata, nameOf: (code: number) => string) {
    this.#client = client;
    this.#metadata = metadata;
    this.#nameOf = nameOf;
  }

  async call<T>(method: Method, request: object, { timeoutMs, signal }: CallOptions): Promise<T> {
    const { path, requestSerialize, responseDeserialize } = await findMethod(method.file, method.service, method.name);
    if (signal?.aborted) throw givenUp(method);
    const options = timeoutMs === null ? {} : { deadline: Date.now() + timeoutMs };
    return new Promise<T>((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        this.#metadata,
        options,
        (error, answer) => {
          signal?.removeEventListener('abort', cancel);
          if (error) reject(this.#explain(error, method));
          else resolve(answer as T);
        },
      );
      const cancel = (): void => call.cancel();
      signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  async stream<T>(method: Method, request: object, signal: AbortSignal): Promise<AnswerStream<T>> {
    const { path, requestSerialize, responseDeserialize } = await findMethod(method.file, method.service, method.name);
    if (signal.aborted) throw givenUp(method);
    const call = this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      this.#metadata,
    );
    return this.#readable<T>(call, method, signal);
  }

  async duplex<T>(method: Method, signal: AbortSignal): Promise<{ answers: AnswerStream<T>; requests: Writable }> {
    const { path, requestSerialize, responseDeserialize } = await findMethod(method.file, method.service, method.name);
    if (signal.aborted) throw givenUp(method);
    const call = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, this.#metadata);
    return { answers: this.#readable<T>(call, method, signal), requests: call };
  }

  close(): void {
    this.#client.close();
  }

  #readable<T>(
    call: ClientReadableStream<object> | ClientDuplexStream<object, object>,
    method: Method,
    signal: AbortSignal,
  ): AnswerStream<T> {
    const cancel = (): void => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    const explain = (error: ServiceError): PluginCallError => this.#explain(error, method);
    const answers = async function* (): AsyncGenerator<object> {
      try {
        yield* call as AsyncIterable<object>;
      } catch (error) {
        throw explain(error as ServiceError);
      } finally {
        signal.removeEventListener('abort', cancel);
        cancel();
      }
    };
    // An end before anybody reads must not end the agent.
    call.on('error', () => {});
    return Readable.from(answers()) as AnswerStream<T>;
  }

  #explain(error: ServiceError, method: Method): PluginCallError {
    const status = this.#nameOf(error.code);
    const [details] = error.metadata?.get('grpc-status-details-bin') ?? [];
    const text = TEXTS[status]?.(method.name) ?? (error.details || error.message);
    return new PluginCallError(text, { status, details: Buffer.isBuffer(details) ? details : null, cause: error });
  }
}

function givenUp(method: Method): PluginCallError {
  return new PluginCallError(`${method.name} was given up`, { status: 'CANCELLED', details: null, cause: null });
}

/** What the library says of these is of no use to the one who reads it. */
const TEXTS: Record<string, (method: string) => string> = {
  UNAVAILABLE: (method) => `the plugin went away during ${method}`,
  DEADLINE_EXCEEDED: (method) => `the plugin did not answer ${method} in time`,
  UNIMPLEMENTED: (method) => `the plugin does not know ${method}`,
  CANCELLED: (method) => `${method} was given up`,
};
