import {
  type ArtifactConfig,
  DEFAULT_ARTIFACT_CONFIG,
  DEFAULT_TEMPLATE_CONFIG,
  type TemplateConfig,
} from '../client/content-config.js';
import { parseByteSize } from '../util/byte-size.js';

// `client { template { } artifact { } }` in Nomad's words → how the client is set up.

/** The `template { }` block of a client. */
export function templateSettings(block: Record<string, unknown>): TemplateConfig {
  const given = (block['function_denylist'] ?? block['function_blacklist']) as string[] | undefined;
  const wait = waitOf(block['wait']);
  return {
    functionDenylist: given ?? DEFAULT_TEMPLATE_CONFIG.functionDenylist,
    fileSandbox: block['disable_file_sandbox'] !== true,
    wait: wait ?? DEFAULT_TEMPLATE_CONFIG.wait,
    waitBounds: waitOf(block['wait_bounds']),
  };
}

function waitOf(block: unknown): TemplateConfig['wait'] | null {
  if (typeof block !== 'object' || block === null) return null;
  const { enabled, min, max } = block as { enabled?: boolean; min?: number; max?: number };
  if (enabled === false) return { minMs: 0, maxMs: 0 };
  const minMs = min ?? DEFAULT_TEMPLATE_CONFIG.wait.minMs;
  // As in Consul Template four times the shortest wait, unless it is told.
  return { minMs, maxMs: max ?? minMs * 4 };
}

/** The `artifact { }` block of a client; what is wrong is added to `problems`. */
export function artifactSettings(block: Record<string, unknown>, problems: string[]): ArtifactConfig {
  const fallback = DEFAULT_ARTIFACT_CONFIG;
  const duration = (key: string, otherwise: number): number => (block[key] as number | undefined) ?? otherwise;
  const size = (key: string, otherwise: number): number => {
    const text = block[key] as string | undefined;
    if (text === undefined) return otherwise;
    const bytes = parseByteSize(text);
    if (bytes === null) problems.push(`client.artifact.${key}: ${JSON.stringify(text)} is no size such as "100GB"`);
    return bytes ?? otherwise;
  };
  const names = (block['set_environment_variables'] as string | undefined) ?? '';
  return {
    httpReadTimeoutMs: duration('http_read_timeout', fallback.httpReadTimeoutMs),
    httpMaxBytes: size('http_max_size', fallback.httpMaxBytes),
    gitTimeoutMs: duration('git_timeout', fallback.gitTimeoutMs),
    s3TimeoutMs: duration('s3_timeout', fallback.s3TimeoutMs),
    filesMax: (block['decompression_file_count_limit'] as number | undefined) ?? fallback.filesMax,
    unpackedMaxBytes: size('decompression_size_limit', fallback.unpackedMaxBytes),
    hostFiles: block['disable_filesystem_isolation'] === true,
    environment: names.split(',').flatMap((name) => name.trim() || []),
  };
}
