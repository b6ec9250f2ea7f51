import { type ScalerBlocks, scalerProblems } from '../plugin/scalers.js';
import { readPolicy } from '../scaling/index.js';
import type { AutoscalerSettings } from './autoscaler.js';
import type { AgentConfig, ScalerSections } from './config/config.js';
import { NO_POLICIES, type PolicyDir, readPolicyDir } from './policy-dir.js';

type ScalerKind = 'apm' | 'strategy' | 'target';

/** The autoscaler's settings; what is wrong with them goes to `problems`. `pluginDir`: the one in force. Null where none runs. */
export async function autoscalerSettings(
  config: AgentConfig,
  { pluginDir, problems }: { pluginDir: string | null; problems: string[] },
): Promise<AutoscalerSettings | null> {
  const { enabled, policyDir, evaluationIntervalMs, cooldownMs } = config.autoscaler;
  if (!enabled || !config.server.enabled) return null;
  const blocks = await scalerBlocks(config.autoscaler, { pluginDir, problems, at: 'autoscaler ' });
  const policies = startPolicies(policyDir, problems);
  return { evaluationIntervalMs, cooldownMs, ...blocks, policies };
}

/** The plugins that a configuration names; what is wrong with them goes to `problems`, after `at`. */
export async function scalerBlocks(
  sections: Record<ScalerKind, ScalerSections>,
  { pluginDir, problems, at }: { pluginDir: string | null; problems: string[]; at: string },
): Promise<Record<ScalerKind, ScalerBlocks>> {
  const blocks = {
    apm: blocksOf(sections.apm),
    strategy: blocksOf(sections.strategy),
    target: blocksOf(sections.target),
  };
  const isNone = Object.values(blocks).every((one) => Object.keys(one).length === 0);
  if (isNone) return blocks;
  for (const { path, message } of await scalerProblems({ ...blocks, pluginDir })) {
    problems.push(`${at}${path}: ${message}`);
  }
  return blocks;
}

const blocksOf = (sections: ScalerSections): ScalerBlocks =>
  Object.fromEntries(Object.entries(sections).map(([name, one]) => [name, { ...one, driver: one.driver ?? name }]));

/** The policies of a directory; all that is wrong with them goes to `problems`. */
export function startPolicies(dir: string | null, problems: string[]): PolicyDir {
  if (dir === null) return NO_POLICIES;
  const read = readPolicyDir(dir);
  problems.push(...read.broken.map(({ why }) => why));
  for (const [file, policies] of read.files) {
    for (const policy of policies) {
      const checked = readPolicy(policy);
      const wrong = checked.ok ? [] : checked.error;
      problems.push(...wrong.map(({ path, message }) => `${file}: scaling "${policy.ID}": ${path} ${message}`));
    }
  }
  return read;
}
