import type { OnError, Policy } from '../../lib/scaling/policy.js';

/** A policy with checks of these names. */
export function policyOf(
  fields: Partial<Omit<Policy, 'checks'>> & {
    checks: string[];
    groups?: Record<string, string>;
    onError?: Record<string, OnError>;
  },
): Policy {
  const { checks, groups = {}, onError = {}, ...rest } = fields;
  return {
    id: 'p',
    type: 'horizontal',
    enabled: true,
    min: 0,
    max: 100,
    priority: 0,
    evaluationIntervalMs: 10_000,
    cooldownMs: 60_000,
    cooldownOnScaleUpMs: 60_000,
    schedule: null,
    target: { name: 'nomad-target', config: {} },
    checks: checks.map((name) => ({
      name,
      source: 'nomad-apm',
      query: 'q',
      group: groups[name] ?? '',
      queryWindowMs: 60_000,
      queryWindowOffsetMs: 0,
      onError: onError[name] ?? 'ignore',
      schedule: null,
      strategy: { name: 'target-value', config: { target: '50' } },
    })),
    ...rest,
  };
}
