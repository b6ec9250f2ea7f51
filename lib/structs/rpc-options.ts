// What every question and every change may say, and what comes back with each answer.

/** What every query may say. */
export interface QueryOptions {
  Region?: string;
  /** '*' = all the caller may see; absent = "default". */
  Namespace?: string;
  AuthToken?: string;
  AllowStale?: boolean;
  /** A server passed it on to this one, which must answer or refuse, and not pass it on again. */
  Forwarded?: boolean;
  /** Block until the answer's index is above this (0 or absent: answer at once)… */
  MinQueryIndex?: number;
  /** …but no longer than this; 0 or absent = 5 minutes; capped at 10; a jitter of up to a sixteenth is added. */
  MaxQueryTimeMs?: number;
  Prefix?: string;
  Filter?: string;
  PerPage?: number;
  NextToken?: string;
  Reverse?: boolean;
}

export interface QueryMeta {
  Index: number;
  LastContactMs: number;
  KnownLeader: boolean;
  NextToken?: string;
  /** No server could be asked: the node told what it knows of its own work. */
  Alone?: true;
}

export interface WriteOptions {
  Region?: string;
  Namespace?: string;
  AuthToken?: string;
  /** As for a query. */
  Forwarded?: boolean;
}

/** A question: may be asked of any server, may wait for a change. */
export type Query<A, R> = { args: QueryOptions & A; reply: QueryMeta & R };
/** A change: the leader makes it. */
export type Write<A, R> = { args: WriteOptions & A; reply: { Index: number } & R };
