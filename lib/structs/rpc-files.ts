import type { LogLevel } from '../util/log.js';
import type { QueryOptions } from './rpc-options.js';

/** One piece of a file that is being streamed; Data absent marks an event ("file deleted", "file truncated") or a heartbeat. */
export interface StreamFrame {
  File?: string;
  Offset?: number;
  Data?: Uint8Array;
  FileEvent?: string;
}

/** Files of an allocation, and the log of an agent, streamed by the client that has them. */
export interface FileRpcStreams {
  /** What the agent on a node logs from now on, a line a frame. */
  'Agent.Monitor': {
    args: { NodeID: string; LogLevel: LogLevel; LogJSON: boolean } & QueryOptions;
    input: never;
    output: StreamFrame;
  };
  /** Path inside the allocation's directory; Offset from Origin ("start" or "end"); Follow keeps it open at the end. */
  'FileSystem.Stream': {
    args: {
      AllocID: string;
      Path: string;
      Offset: number;
      Origin: 'start' | 'end';
      Limit?: number;
      Follow: boolean;
    } & QueryOptions;
    input: never;
    output: StreamFrame;
  };
  'FileSystem.Logs': {
    args: {
      AllocID: string;
      Task: string;
      LogType: 'stdout' | 'stderr';
      Offset: number;
      Origin: 'start' | 'end';
      Follow: boolean;
    } & QueryOptions;
    input: never;
    output: StreamFrame;
  };
}
