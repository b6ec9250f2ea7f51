import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import type { ServiceDefinition } from '@grpc/proto-loader';
import { makeKeyPair } from '../../lib/plugin/go-plugin/certificate.js';
import type { Handshake } from '../../lib/plugin/go-plugin/handshake.js';
import { loadProtos, type ProtoFile } from '../../lib/plugin/go-plugin/protos.js';

// The plugin's side of go-plugin, for tests that must not need a Go compiler. test/plugin/go/ has the real one.

export interface ServedService {
  file: ProtoFile;
  service: string;
  methods: grpc.UntypedServiceImplementation;
}

/** What existing plugins speak, whatever the host asks for. */
const PROTOCOL_VERSIONS: Record<string, number> = {
  NOMAD_PLUGIN_MAGIC_COOKIE: 2,
  NOMAD_AUTOSCALER_PLUGIN_MAGIC_COOKIE: 1,
};

/** Serves until it is told to shut down. */
export async function servePlugin(handshake: Handshake, services: ServedService[]): Promise<void> {
  if (process.env[handshake.cookieKey] !== handshake.cookieValue) {
    console.error('This binary is a plugin.\nStart the program that will\nload any plugins automatically');
    process.exit(1);
  }
  const server = new grpc.Server();
  let stdio: grpc.ServerWritableStream<object, object> | undefined;
  const own: ServedService[] = [
    { file: 'health', service: 'grpc.health.v1.Health', methods: { Check: unary(() => ({ status: 'SERVING' })) } },
    {
      file: 'go-plugin',
      service: 'plugin.GRPCController',
      methods: {
        Shutdown: unary(() => {
          setTimeout(() => process.exit(0), 10);
          return {};
        }),
      },
    },
    {
      file: 'go-plugin',
      service: 'plugin.GRPCStdio',
      methods: {
        StreamStdio(call: grpc.ServerWritableStream<object, object>) {
          stdio = call;
        },
      },
    },
  ];
  for (const { file, service, methods } of [...own, ...services]) {
    server.addService((await loadProtos(file))[service] as ServiceDefinition, methods);
  }
  const clientPem = process.env['PLUGIN_CLIENT_CERT'] ?? '';
  const keys = makeKeyPair(Date.now());
  const credentials =
    clientPem === ''
      ? grpc.ServerCredentials.createInsecure()
      : grpc.ServerCredentials.createSsl(
          Buffer.from(clientPem),
          [{ private_key: Buffer.from(keys.keyPem), cert_chain: Buffer.from(keys.certificatePem) }],
          true,
        );
  const dir = process.env['PLUGIN_UNIX_SOCKET_DIR'] ?? '/tmp';
  const path = join(dir, `plugin${process.pid}`);
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${path}`, credentials, (error) => (error ? reject(error) : resolve()));
  });
  const der = keys.certificatePem.replace(/-----[^-]+-----|\n/g, '').replace(/=+$/, '');
  process.stdout.write(
    `1|${PROTOCOL_VERSIONS[handshake.cookieKey]}|unix|${path}|grpc|${clientPem === '' ? '' : der}\n`,
  );
  const print = (text: unknown): void => {
    stdio?.write({ channel: 'STDOUT', data: Buffer.from(`${text}\n`) });
  };
  console.log = print;
}

/** A method that is one question and one answer; what it throws goes to the host, with the `code` it has. */
export function unary<Q, A>(answer: (request: Q) => A | Promise<A>): grpc.handleUnaryCall<Q, A> {
  return (call, done) => {
    Promise.resolve()
      .then(() => answer(call.request))
      .then(
        (value) => done(null, value),
        (error) => done({ code: error.code ?? grpc.status.UNKNOWN, details: String(error.message) }),
      );
  };
}

/** A line of the log as hclog writes it. */
export function logLine(level: string, message: string, fields: Record<string, unknown> = {}): void {
  process.stderr.write(`${JSON.stringify({ '@level': level, '@message': message, '@module': 'test', ...fields })}\n`);
}

let serial = 0;

/** A plugin directory for a test, with what is put into it. */
export interface PluginPlace {
  dir: string;
  stateDir: string;
  /** A program that runs a script of test/plugin/servers with arguments. */
  addServer(name: string, script: string, ...args: string[]): string;
  /** A shell script. */
  addScript(name: string, text: string, mode?: number): string;
  remove(): void;
}

export function makePluginPlace(): PluginPlace {
  const root = mkdtempSync(`/tmp/meshnomad-plugins-${process.pid}-${serial++}-`);
  const dir = join(root, 'plugins');
  const stateDir = join(root, 'state');
  mkdirSync(dir);
  mkdirSync(stateDir);
  const addScript = (name: string, text: string, mode = 0o755): string => {
    const path = join(dir, name);
    writeFileSync(path, text, { mode });
    return path;
  };
  return {
    dir,
    stateDir,
    addScript,
    addServer(name, script, ...args) {
      const file = fileURLToPath(new URL(`../plugin/servers/${script}.js`, import.meta.url));
      return addScript(name, `#!/bin/sh\nexec ${process.execPath} ${file} ${args.join(' ')} "$@"\n`);
    },
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}
