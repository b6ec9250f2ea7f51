import type * as Grpc from '@grpc/grpc-js';
import { CsiError, type CsiMethod, type CsiMethods, type CsiStatus } from '../../plugin/sdk/csi.js';
import { loadCsiProto } from '../../plugin/sdk/csi-proto.js';
import type { Millis } from '../../util/clock.js';

/** Lists of many thousand volumes are longer than gRPC's own 4 MiB. */
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;
/** A plugin that was restarted is met again within this time. */
const RECONNECT_MS_MAX: Millis = 1_000;
/** Shorter secrets would blot out ordinary words of an error. */
const SECRET_LENGTH_MIN = 4;

/** What a plugin says of an error goes into events and states: so much of it. */
const SAID_CHARS_MAX = 800;

/** Calls one CSI plugin over its UNIX socket. */
export interface CsiRpc {
  /**
   * Calls a method. Throws CsiError with the plugin's code and a message that names plugin and method; values of
   * `secrets` in the request are blotted out of it. DEADLINE_EXCEEDED after `timeoutMs`; CANCELLED when `signal` aborts.
   */
  call<M extends CsiMethod>(
    method: M,
    request: CsiMethods[M][0],
    options: { timeoutMs: Millis; signal?: AbortSignal },
  ): Promise<CsiMethods[M][1]>;
  close(): void;
}

/** Opens a connection to the plugin at `socket`; nothing need listen there yet. */
export async function openCsiRpc(pluginId: string, socket: string): Promise<CsiRpc> {
  const { grpc, services } = await loadCsiProto();
  const client = new grpc.Client(`unix:${socket}`, grpc.credentials.createInsecure(), {
    'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
    'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': RECONNECT_MS_MAX,
    'grpc.enable_retries': 0,
    // A proxy of the environment must never see a UNIX socket's calls.
    'grpc.enable_http_proxy': 0,
  });
  return {
    call: (method, request, { timeoutMs, signal }) =>
      new Promise((done, fail) => {
        const [service = '', name = ''] = method.split('.');
        const definition = services[service]?.[name];
        if (!definition) throw new Error(`csi has no method ${method}`);
        const call = client.makeUnaryRequest(
          definition.path,
          definition.requestSerialize,
          definition.responseDeserialize,
          request,
          { deadline: Date.now() + timeoutMs },
          (error, response) => {
            signal?.removeEventListener('abort', cancel);
            if (error) fail(translate(grpc, error, { pluginId, method, request, timeoutMs, socket }));
            else done(response as CsiMethods[typeof method][1]);
          },
        );
        const cancel = (): void => call.cancel();
        if (signal?.aborted) cancel();
        else signal?.addEventListener('abort', cancel);
      }),
    close: () => client.close(),
  };
}

/** A header that begins or ends with a space is dropped by HTTP/2 of Node.js, and with it what a plugin said. */
const NO_REASON = 'its reason did not come through, its log may tell';

interface FailedCall {
  pluginId: string;
  method: CsiMethod;
  request: object;
  timeoutMs: Millis;
  socket: string;
}

function translate(grpc: typeof Grpc, error: Grpc.ServiceError, call: FailedCall): CsiError {
  const code = (grpc.status[error.code] ?? 'UNKNOWN') as CsiStatus;
  const said = error.details === '' ? NO_REASON : redact(error.details, call.request);
  const [, name] = call.method.split('.');
  const where = `CSI plugin "${call.pluginId}", ${name}: `;
  switch (code) {
    case 'DEADLINE_EXCEEDED':
      return new CsiError(code, `${where}no answer within ${call.timeoutMs / 1000} s`);
    case 'UNAVAILABLE':
      if (hasAnswered(error)) break;
      return new CsiError(code, `${where}the plugin does not answer at ${call.socket} (${withoutNotes(said)})`);
    case 'UNIMPLEMENTED':
      return new CsiError(code, `${where}the plugin cannot do this (${said})`);
    default:
      break;
  }
  return new CsiError(code, `${where}${said} (${code})`);
}

/** What the library puts around the reason why nobody was reached says nothing to who reads it. */
function withoutNotes(said: string): string {
  return /^No connection established\. Last error: (?:Error: )?(.*?)\.? Resolution note: /s.exec(said)?.[1] ?? said;
}

/** Whether the plugin itself said so: a call that reached nobody comes back without any header. */
function hasAnswered({ metadata }: Grpc.ServiceError): boolean {
  return metadata.get('content-type').length > 0;
}

/** A plugin may repeat in its error what it was given. */
function redact(message: string, request: object): string {
  const secrets = Object.values((request as { secrets?: Record<string, string> }).secrets ?? {});
  const clean = secrets
    .filter((secret) => secret.length >= SECRET_LENGTH_MIN)
    .reduce((text, secret) => text.replaceAll(secret, '[redacted]'), message);
  return clean.length > SAID_CHARS_MAX ? `${clean.slice(0, SAID_CHARS_MAX)}…` : clean;
}
