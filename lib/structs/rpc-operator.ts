/** Methods about the servers as a group: who votes, who leads, snapshots. Named and shaped as Nomad's `operator` API. */
export type OperatorRpcMethods = object;

export type OperatorRpcStreams = object;
