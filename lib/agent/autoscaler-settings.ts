import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ScalerBlocks, scalerProblems } from '../plugin/scalers.js';
import { readPolicy } from '../scaling/index.js';
import type { ScalingPolicy } from '../structs/job.js';
import type { AutoscalerSettings } from './autoscaler.js';
import type { AgentConfig, ScalerSections } from './config/config.js';
import { readPolicyFile } from './policy-file.js';

/** The autoscaler's settings; what is wrong with them goes to `problems`. `pluginDir`: the one in force. Null where none runs. */
export async function autoscalerSettings(
  config: AgentConfig,
  { pluginDir, problems }: { pluginDir: string | null; problems: string[] },
): Promise<AutoscalerSettings | null> {
  const { enabled, policyDir, evaluationIntervalMs, cooldownMs } = config.autoscaler;
  if (!enabled || !config.server.enabled) return null;
  const blocks = {
    apm: blocksOf(config.autoscaler.apm),
    strategy: blocksOf(config.autoscaler.strategy),
    target: blocksOf(config.autoscaler.target),
  };
  const isNone = Object.values(blocks).every((one) => Object.keys(one).length === 0);
  if (!isNone) {
    for (const { path, message } of await scalerProblems({ ...blocks, pluginDir })) {
      problems.push(`autoscaler ${path}: ${message}`);
    }
  }
  const policies = policyDir === null ? [] : readPolicies(policyDir, problems);
  return { evaluationIntervalMs, cooldownMs, ...blocks, policies };
}

const blocksOf = (sections: ScalerSections): ScalerBlocks =>
  Object.fromEntries(Object.entries(sections).map(([name, one]) => [name, { ...one, driver: one.driver ?? name }]));

function readPolicies(dir: string, problems: string[]): ScalingPolicy[] {
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
    problems.push(`autoscaler policy_dir: cannot read ${dir}: ${(error as Error).message}`);
    return [];
  }
}
