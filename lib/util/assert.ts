/** Throws when an invariant is broken: a bug in this program, never the user's mistake. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${message}`);
}

/** Ends a switch over a union: an untold member does not compile, and throws should it come from outside. */
export function assertNever(member: never): never {
  throw new Error(`invariant broken: unexpected member ${JSON.stringify(member)}`);
}
