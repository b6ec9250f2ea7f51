import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ScalerBlocks, scalerProblems } from '../plugin/scalers.js';
import { readPolicy } from '../scaling/index.js';
import type { ScalingPolicy } from '../structs/job.js';
import type { AutoscalerSettings } from './autoscaler.js';
import type { AgentConfig, ScalerSections } from './config/config.js';
import { readPolicyFile } from './policy-file.js';

type ScalerKind = 'apm' | 'strategy' | 'target';

/** The autoscaler's settings; what is wrong with them goes to `problems`. `pluginDir`: the one in force. Null where none runs. */
export async function autoscalerSettings(
  config: AgentConfig,
  { pluginDir, problems }: { pluginDir: string | null; problems: string[] },
): Promise<AutoscalerSettings | null> {
  const { enabled, policyDir, evaluationIntervalMs, cooldownMs } = config.autoscaler;
  if (!enabled || !config.server.enabled) return null;
  const blocks = await scalerBlocks(config.autoscaler, { pluginDir, problems, at: 'autoscaler ' });
  const policies = policyDir === null ? [] : readPolicies(policyDir, problems);
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

/** The policies of a directory, by the names of its files; a file with a mistake has none. */
export function readPolicies(dir: string, problems: string[]): ScalingPolicy[] {
  try {
    const names = readdirSync(dir).filter((name) => /\.(hcl|json)$/.test(name));
    return names.sort().flatMap((name) => {
      const read = readPolicyFile(readFileSync(join(dir, name), 'utf8'), join(dir, name));
      if (!read.ok) {
        problems.push(read.error);
        return [];
      }
      for (const policy of read.value) {
        const checked = readPolicy(policy);
        const wrong = checked.ok ? [] : checked.error;
        problems.push(
          ...wrong.map(({ path, message }) => `${join(dir, name)}: scaling "${policy.ID}": ${path} ${message}`),
        );
      }
      return read.value;
    });
  } catch (error) {
    problems.push(`the directory of policies: cannot read ${dir}: ${(error as Error).message}`);
    return [];
  }
}
