/** Streams between servers of one raft group. Small messages between them are datagrams, and no part of this table. */
export interface RaftRpcStreams {
  /** One message too large for a datagram, in pieces. */
  'Raft.Message': { args: object; input: { Data: Uint8Array }; output: never };
  /**
   * A snapshot, in pieces; `Head` (base64) says whose and which. Ends with the SHA-256 (hexadecimal) of all pieces; `Stored`
   * comes back once it is durable, or is not needed.
   */
  'Raft.Snapshot': {
    args: { Head: string };
    input: { Data: Uint8Array } | { Digest: string };
    output: { Stored: true };
  };
}
