/** How many of n make a majority. */
export function majority(n: number): number {
  return Math.floor(n / 2) + 1;
}

/** The largest value that a majority of the voters has reached; 0 when nobody votes. */
export function quorumValue(voters: readonly string[], reached: (id: string) => number): number {
  if (voters.length === 0) return 0;
  if (voters.length === 1) return reached(voters[0] as string);
  const values = voters.map(reached).sort((a, b) => b - a);
  return values[majority(voters.length) - 1] ?? 0;
}

export type VoteResult = 'won' | 'lost' | 'pending';

/** The state of an election: lost as soon as a majority can no longer be reached. Without voters nobody can win. */
export function voteResult(voters: readonly string[], votes: ReadonlyMap<string, boolean>): VoteResult {
  let granted = 0;
  let refused = 0;
  for (const voter of voters) {
    const vote = votes.get(voter);
    if (vote === true) granted++;
    if (vote === false) refused++;
  }
  const needed = majority(voters.length);
  if (granted >= needed) return 'won';
  return voters.length - refused < needed ? 'lost' : 'pending';
}
