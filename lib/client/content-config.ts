import type { Millis } from '../util/clock.js';

/** What the node allows to templates, and how patient they are. */
export interface TemplateConfig {
  /** Names of functions that fail. */
  functionDenylist: readonly string[];
  /** False: paths may lead out of the task's directory. */
  fileSandbox: boolean;
  /** For templates that say nothing of it. */
  wait: { minMs: Millis; maxMs: Millis };
  /** What a template's own `wait` is brought within; null = anything goes. */
  waitBounds: { minMs: Millis; maxMs: Millis } | null;
}

/** What fetching an artifact may take. */
export interface ArtifactConfig {
  httpReadTimeoutMs: Millis;
  httpMaxBytes: number;
  gitTimeoutMs: Millis;
  s3TimeoutMs: Millis;
  /** Files in an archive. */
  filesMax: number;
  /** What an archive unpacks to. */
  unpackedMaxBytes: number;
  /** Files and repositories of the host itself may be fetched. */
  hostFiles: boolean;
  /** Variables of the agent's environment that `git` gets, and where credentials for S3 are looked for. */
  environment: readonly string[];
}

const GIB = 1024 ** 3;
const MINUTE: Millis = 60_000;

/** Nomad's defaults. */
export const DEFAULT_TEMPLATE_CONFIG: TemplateConfig = {
  functionDenylist: ['plugin', 'writeToFile'],
  fileSandbox: true,
  wait: { minMs: 5_000, maxMs: 4 * MINUTE },
  waitBounds: null,
};

/** Nomad's defaults. */
export const DEFAULT_ARTIFACT_CONFIG: ArtifactConfig = {
  httpReadTimeoutMs: 30 * MINUTE,
  httpMaxBytes: 100 * GIB,
  gitTimeoutMs: 30 * MINUTE,
  s3TimeoutMs: 30 * MINUTE,
  filesMax: 4096,
  unpackedMaxBytes: 100 * GIB,
  hostFiles: false,
  environment: [],
};
