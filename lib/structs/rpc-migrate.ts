import type { Query, QueryOptions } from './rpc-options.js';

/** Where the data of an allocation's predecessor lies, and the right to fetch it. */
export interface MigrateSource {
  /** `ended`: nothing writes there any more. `gone`: it, or its node, is not there. */
  State: 'running' | 'ended' | 'gone';
  /** The node that has it. */
  NodeID: string;
  /** Known to the servers and that node only; '' unless it has ended. */
  Token: string;
}

export interface MigrateRpcMethods {
  /** Asked by the node of an allocation whose group wants the data of the one before. */
  'Alloc.GetMigrateToken': Query<{ NodeID: string; SecretID: string; AllocID: string }, MigrateSource>;
}

/** A file, directory or symbolic link of an allocation, by its path in the allocation's directory. */
export interface SnapshotEntry {
  Path: string;
  Kind: 'dir' | 'file' | 'link';
  Mode: number;
  Uid: number;
  Gid: number;
  /** Milliseconds since 1970. */
  Mtime: number;
  /** Bytes that follow; of a file only. */
  Size: number;
  /** What a link says. */
  Target: string;
}

/** First the sizes of the whole, then each entry with what it holds, at last `Done`. */
export type SnapshotFrame =
  | { Entries: number; Bytes: number }
  /** `From`: the bytes before it are left out, as they were asked to be. */
  | { Entry: SnapshotEntry; From?: number }
  | { Data: Uint8Array }
  | { Done: true };

export interface MigrateRpcStreams {
  /** The data of an ended allocation, answered by its node; `Skip`: the first entries are there already; `Offset`: and bytes of the next. */
  'FileSystem.Snapshot': {
    args: { AllocID: string; Token: string; Skip: number; Offset?: number } & QueryOptions;
    input: never;
    output: SnapshotFrame;
  };
}
