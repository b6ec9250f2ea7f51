import { type Policy, readPolicy } from '../scaling/index.js';
import type { PolicyDefaults } from '../scaling/policy.js';
import type { ScalingPolicy } from '../structs/job.js';

/** Policies that no job has, and the files that could not be taken over. */
export interface FilePolicies {
  policies: readonly ScalingPolicy[];
  broken: readonly { file: string; why: string }[];
}

/** A policy as it is stored now, and what is in force of it. */
export interface KnownPolicy {
  stored: ScalingPolicy;
  /** The last one that could be read; null when none ever could. */
  inForce: Policy | null;
  /** What is wrong with the one that is stored now. */
  problems: string[];
}

/** The policies there are: a mistake in a new version leaves the last good one in force. */
export class PolicyBook {
  private readonly defaults: PolicyDefaults;
  private known = new Map<string, KnownPolicy>();

  constructor(defaults: PolicyDefaults) {
    this.defaults = defaults;
  }

  /** Takes over all policies of now. */
  replace(stored: readonly ScalingPolicy[]): void {
    this.known = new Map(stored.map((policy) => [policy.ID, this.read(policy, this.known.get(policy.ID))]));
  }

  get all(): readonly KnownPolicy[] {
    return [...this.known.values()];
  }

  get inForce(): Policy[] {
    return this.all.flatMap(({ inForce }) => inForce ?? []);
  }

  private read(stored: ScalingPolicy, before: KnownPolicy | undefined): KnownPolicy {
    const read = readPolicy(stored, this.defaults);
    if (read.ok) return { stored, inForce: read.value, problems: [] };
    const problems = read.error.map(({ path, message }) => `${path} ${message}`);
    // What a person has switched off must not go on by an older version of itself.
    const last = stored.Enabled ? (before?.inForce ?? null) : null;
    return { stored, inForce: last && { ...last, min: stored.Min ?? last.min, max: stored.Max ?? last.max }, problems };
  }
}
