/** Best score of the fit formula before it is normalised to 0…1. */
const FIT_SCORE_MAX = 18;

/** How much of a node is free after the ask, as fractions of what it has for allocations. */
export interface Free {
  readonly cpu: number;
  readonly memory: number;
}

/** Share of a capacity that stays free; a node that has none of it has none free. */
export function freeShare(used: number, capacity: number): number {
  return capacity > 0 ? 1 - used / capacity : 0;
}

/** BestFit v3 (Google's work on online bin packing): 1 for a node that is full afterwards, 0 for one that stays empty. */
export function binpackScore({ cpu, memory }: Free): number {
  return clamp(20 - (10 ** cpu + 10 ** memory)) / FIT_SCORE_MAX;
}

/** Worst fit: the emptier a node stays, the higher. */
export function spreadScore({ cpu, memory }: Free): number {
  return clamp(10 ** cpu + 10 ** memory - 2) / FIT_SCORE_MAX;
}

/** −(collisions + 1) / count of a node that has `collisions` allocations of the same group; 0 (not appended) without any. */
export function antiAffinityScore(collisions: number, desiredCount: number): number {
  return collisions > 0 ? -(collisions + 1) / Math.max(desiredCount, 1) : 0;
}

/** How much is given up with allocations of these priorities: the highest, and the sum as a share of it. */
export function netPriority(priorities: readonly number[]): number {
  const max = Math.max(0, ...priorities);
  return max === 0 ? 0 : max + priorities.reduce((sum, priority) => sum + priority, 0) / max;
}

/** 1/(1 + e^(0.0048 (net − 2048))): near 1 while little is given up, 0.5 at 2,048. */
export function preemptionScore(victims: readonly { readonly Job: { readonly Priority: number } | null }[]): number {
  const net = netPriority(victims.map(({ Job }) => Job?.Priority ?? 0));
  return 1 / (1 + Math.exp(0.0048 * (net - 2048)));
}

function clamp(score: number): number {
  return Math.min(FIT_SCORE_MAX, Math.max(0, score));
}
