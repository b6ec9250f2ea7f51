/** Where the feed of a voter is found, and what reads it: for servers only. Keys and secret in hexadecimal. */
export interface FeedAddress {
  /** Whose feed it is. */
  readonly Node: string;
  readonly Secret: string;
  /** The newest, then the one before it. `Index`: of the snapshot that the segment begins with. */
  readonly Segments: readonly { readonly Key: string; readonly Index: number }[];
}

/** How the state reaches servers outside of the group. Between servers only. */
export interface FeedRpcMethods {
  /** Answered by every server for itself. `Follow`: the asker wants to follow it, so that one in the group must publish. */
  'Feed.Describe': {
    args: { Follow: boolean };
    reply: {
      /** Id of the leader, by what raft knows here; '' when it knows none, or this server is outside of the group. */
      Leader: string;
      /** Applied here. */
      Index: number;
      /** Ids of all who are in the group, as far as is applied here. */
      Members: string[];
      /** Null: it is outside of the group, or has not begun yet. */
      Feed: FeedAddress | null;
    };
  };
  /** Answered by the leader: a state that has come so far shows all that was committed before the call. */
  'Feed.ReadIndex': { args: object; reply: { Index: number } };
}

export interface FeedRpcStreams {
  /** A replication of hypercores, as bytes: each side asks the other for blocks of the cores that it knows the key of. */
  'Feed.Replicate': { args: object; input: { Data: Uint8Array }; output: { Data: Uint8Array } };
}
