import type { AgentConfig } from './config.js';

/** What changed between two configurations, by path ("client.meta.rack"). */
export interface ReloadDiff {
  /** Takes effect at once. */
  readonly reloadable: readonly string[];
  /** Takes effect when the agent is started again. */
  readonly needsRestart: readonly string[];
}

/** What a node says about itself, and how much is logged. */
const RELOADABLE = ['log.level', 'client.meta', 'client.hostVolumes'];

/** Compares the running configuration with one that was read again (on SIGHUP). */
export function diffReloadable(running: AgentConfig, read: AgentConfig): ReloadDiff {
  const changed = changedPaths(said(running), said(read), '');
  const isReloadable = (path: string): boolean =>
    RELOADABLE.some((prefix) => path === prefix || path.startsWith(`${prefix}.`));
  return {
    reloadable: changed.filter(isReloadable),
    needsRestart: changed.filter((path) => !isReloadable(path)),
  };
}

/** Without where it stands: a line more above a plugin changes nothing of what is said to it. */
function said({ plugins, ...rest }: AgentConfig): unknown {
  const withoutPlaces = Object.entries(plugins).map(([name, { places, ...plugin }]) => [name, plugin]);
  return { ...rest, plugins: Object.fromEntries(withoutPlaces) };
}

function changedPaths(before: unknown, after: unknown, path: string): string[] {
  if (isRecord(before) && isRecord(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.flatMap((key) => changedPaths(before[key], after[key], path === '' ? key : `${path}.${key}`));
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [path];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
