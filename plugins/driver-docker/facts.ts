import { setTimeout as sleep } from 'node:timers/promises';
import type Docker from 'dockerode';
import type { DockerOptions } from './config.js';
import type { EngineKind } from './engine.js';

/** What of an engine matters for a container. */
export interface EngineFacts {
  cores: number;
  /** It knows the Container Device Interface. */
  hasCdi: boolean;
  runtimes: readonly string[];
  /** The drivers that it has, without plugins that nobody has used yet; [] = it does not say. */
  logDrivers: readonly string[];
  volumeDrivers: readonly string[];
  /** It runs as another user than this agent, which is root's. */
  isForeign: boolean;
}

const ANSWER_TIMEOUT_MS = 5_000;

/** Asks an engine what it is; throws when it does not answer in time. */
export async function askEngine(
  engine: Docker,
  kind: EngineKind,
  options: DockerOptions,
): Promise<{ facts: EngineFacts; attributes: Record<string, string> }> {
  const [version, info] = await inTime(Promise.all([engine.version(), engine.info()]));
  const runtimes = Object.keys(info.Runtimes ?? {}).sort();
  const name = `driver.${kind.name}`;
  const isRootless = (info.SecurityOptions ?? []).some((option: string) => option.includes('name=rootless'));
  const isForeign = isRootless && process.getuid?.() === 0;
  return {
    // Directories are named by engines that look there: since 25, unless it is turned off.
    facts: {
      cores: info.NCPU || 1,
      hasCdi: (info.CDISpecDirs ?? []).length > 0,
      runtimes,
      logDrivers: info.Plugins?.Log ?? [],
      volumeDrivers: info.Plugins?.Volume ?? [],
      isForeign,
    },
    attributes: {
      [name]: '1',
      [`${name}.version`]: version.Version,
      [`${name}.os_type`]: info.OSType,
      [`${name}.runtimes`]: runtimes.join(','),
      ...(options.volumes?.enabled ? { [`${name}.volumes.enabled`]: '1' } : {}),
      ...(options.allow_privileged ? { [`${name}.privileged.enabled`]: '1' } : {}),
      ...(await bridgeAddress(engine, name)),
    },
  };
}

/** The node's address on the engine's own bridge, by which containers reach it; an engine may have none. */
async function bridgeAddress(engine: Docker, name: string): Promise<Record<string, string>> {
  const network = await inTime(engine.getNetwork('bridge').inspect()).catch(() => undefined);
  const gateway = (network?.IPAM?.Config?.[0] as { Gateway?: string } | undefined)?.Gateway;
  return gateway ? { [`${name}.bridge_ip`]: gateway } : {};
}

/** An engine that accepts connections and never answers must not hold up the node's fingerprint. */
async function inTime<T>(answer: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = sleep(ANSWER_TIMEOUT_MS, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`no answer in ${ANSWER_TIMEOUT_MS / 1000} s`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([answer, late]);
  } finally {
    timer.abort();
  }
}
