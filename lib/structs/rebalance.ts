/** Moves that would even out the load. An extension: Nomad's API has nothing like it. Loads are shares of 1. */
export interface Rebalance {
  Summary: string;
  /** How the scheduler compares nodes at the moment: with binpack, what is moved may come back. */
  Algorithm: string;
  Moves: RebalanceMove[];
  Nodes: RebalanceNode[];
  /** Difference between the most and the least loaded node. */
  UnevennessBefore: number;
  UnevennessAfter: number;
}

export interface RebalanceMove {
  AllocID: string;
  Name: string;
  Namespace: string;
  JobID: string;
  FromNodeID: string;
  FromNode: string;
  ToNodeID: string;
  ToNode: string;
  /** By how much the load of the fuller of the two nodes falls. */
  Gain: number;
}

export interface RebalanceNode {
  NodeID: string;
  Name: string;
  /** The larger share in use, of CPU or of memory. */
  LoadBefore: number;
  LoadAfter: number;
}
