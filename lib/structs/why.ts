import type { Nanos } from '../util/clock.js';

/** Why a job or an allocation is where it is, in sentences for a person. An extension: Nomad's API has nothing like it. */
export interface Why {
  Kind: 'job' | 'allocation';
  ID: string;
  Namespace: string;
  JobID: string;
  /** The answer in one sentence. */
  Summary: string;
  /** One for each group of a job; for an allocation only its own. */
  Groups: WhyGroup[];
  /** How the node of an allocation was chosen; empty for a job. */
  Choice: string[];
  /** What happened, the oldest first. */
  Story: WhyEvent[];
}

export interface WhyGroup {
  Group: string;
  Wanted: number;
  /** Wanted and neither ended nor given up. */
  Placed: number;
  Running: number;
  /** How many the scheduler found no node for when it looked last: also of a new version whose old allocations still run. */
  Unplaced: number;
  Summary: string;
  /** Nodes looked at now, and how many of them would take one more allocation of the group. */
  Nodes: number;
  NodesWithRoom: number;
  /** What refuses the other nodes, the most frequent first: each node counts once, under the first rule that refuses it. */
  Refusals: WhyRefusal[];
}

export interface WhyRefusal {
  Rule: string;
  Nodes: number;
  /** Names of the first of them. */
  NodeNames: string[];
  /** "2 of 3 nodes lack 300 MiB of free memory" */
  Sentence: string;
  /** What would have to change. */
  Change: string;
}

export interface WhyEvent {
  Time: Nanos;
  Text: string;
}
