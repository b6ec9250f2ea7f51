import { fileURLToPath } from 'node:url';
import type { MethodDefinition, PackageDefinition, ServiceDefinition } from '@grpc/proto-loader';

// The same from the sources' tree and from an installed package: dist/lib/plugin/go-plugin/ lies four folders deep.
const PROTO_DIR = fileURLToPath(new URL('../../../../lib/plugin/proto/', import.meta.url));

/** A file of lib/plugin/proto, without its ending. */
export type ProtoFile =
  | 'go-plugin'
  | 'health'
  | 'base'
  | 'driver'
  | 'device'
  | 'scaler-base'
  | 'scaler-apm'
  | 'scaler-strategy'
  | 'scaler-target';

const loaded = new Map<ProtoFile, Promise<PackageDefinition>>();

/** Loads a file of messages and services; the library comes with the first one. */
export function loadProtos(file: ProtoFile): Promise<PackageDefinition> {
  const known = loaded.get(file) ?? load(file);
  loaded.set(file, known);
  return known;
}

/** A method by service and name; throws when there is none, which is a mistake of the caller. */
export async function findMethod(
  file: ProtoFile,
  service: string,
  method: string,
): Promise<MethodDefinition<object, object>> {
  const found = ((await loadProtos(file))[service] as ServiceDefinition | undefined)?.[method];
  if (!found) throw new Error(`${file}.proto has no ${service}/${method}`);
  return found;
}

async function load(file: ProtoFile): Promise<PackageDefinition> {
  const { load } = await import('@grpc/proto-loader');
  return load(`${file}.proto`, {
    includeDirs: [PROTO_DIR],
    keepCase: true,
    longs: Number,
    enums: String,
    defaults: true,
    oneofs: true,
  });
}
