import { fileURLToPath } from 'node:url';
import type * as Grpc from '@grpc/grpc-js';

// Both ends of CSI's gRPC services; loaded when the first plugin is met, never by an agent without one.

/** The package's root, from dist/lib/plugin/sdk. */
const PROTO = fileURLToPath(new URL('../../../../lib/plugin/proto/csi.proto', import.meta.url));

export interface CsiProto {
  grpc: typeof Grpc;
  /** By the service's short name (`Node`). */
  services: Record<string, Grpc.ServiceDefinition>;
}

let loaded: Promise<CsiProto> | undefined;

/** Loads gRPC and the definition of the protocol, once. */
export function loadCsiProto(): Promise<CsiProto> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<CsiProto> {
  const [grpc, loader] = await Promise.all([import('@grpc/grpc-js'), import('@grpc/proto-loader')]);
  const options = { keepCase: false, longs: Number, enums: String, defaults: true, oneofs: true };
  const definition = await loader.load(PROTO, options);
  const services: Record<string, Grpc.ServiceDefinition> = {};
  for (const name of ['Identity', 'Controller', 'GroupController', 'Node']) {
    services[name] = definition[`csi.v1.${name}`] as Grpc.ServiceDefinition;
  }
  return { grpc, services };
}
