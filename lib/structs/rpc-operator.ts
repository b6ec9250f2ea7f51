import type { NodeKey } from './mesh.js';
import type {
  AutopilotConfiguration,
  AutopilotEvent,
  AutopilotHealth,
  RaftConfiguration,
  RecoveryView,
  ServerMember,
  ServerStats,
  ServerVerdict,
  SnapshotMetadata,
} from './operator.js';
import type { Query, QueryOptions, Write, WriteOptions } from './rpc-options.js';

/** Methods about the servers as a group: who votes, who leads, snapshots. Named and shaped as Nomad's `operator` API. */
export interface OperatorRpcMethods {
  /** Answered by every server for itself. */
  'Status.ServerStats': { args: object; reply: ServerStats };
  /** Whether a node can be asked over a link of the server asked. */
  'Status.HasNodeConn': { args: { NodeID: string }; reply: { Connected: boolean } };
  /** All servers, as the one asked sees them. */
  'Status.Members': { args: object; reply: { Members: ServerMember[]; Leader: NodeKey } };

  'Operator.RaftGetConfiguration': Query<object, { Configuration: RaftConfiguration }>;
  /** By id, name, address or an unambiguous prefix of the id. */
  'Operator.RaftRemovePeer': Write<{ Peer: string }, object>;
  /** `Peer` as above; '' = whoever is best suited. */
  'Operator.TransferLeadership': Write<{ Peer: string }, { From: NodeKey; To: NodeKey; Noop: boolean }>;
  'Operator.AutopilotGetConfiguration': Query<object, { Config: AutopilotConfiguration }>;
  /** What is not given stays as it is. */
  'Operator.AutopilotSetConfiguration': Write<
    { Config: Partial<AutopilotConfiguration>; Cas?: boolean; ModifyIndex?: number },
    { Updated: boolean }
  >;
  /** By the leader, whose autopilot measures. */
  'Operator.ServerHealth': { args: QueryOptions; reply: AutopilotHealth };
  'Operator.ServerWhy': { args: QueryOptions; reply: { Servers: ServerVerdict[]; Events: AutopilotEvent[] } };

  /** What a recovery on the server asked would mean. Answered by every server for itself. */
  'Operator.RecoveryView': { args: object; reply: RecoveryView };
  /** Makes the server asked the sole voter of a new epoch. Refused with E_CONFLICT while there is a leader. */
  'Operator.Recover': { args: WriteOptions; reply: { Epoch: number } };
}

export interface OperatorRpcStreams {
  /** The archive, in pieces. */
  'Operator.SnapshotSave': { args: QueryOptions; input: never; output: { Data: Uint8Array } };
  /** Takes the archive in pieces, up to the end of the input; answers once it is in force. */
  'Operator.SnapshotRestore': {
    args: WriteOptions;
    input: { Data: Uint8Array };
    output: { Index: number; Metadata: SnapshotMetadata };
  };
}
