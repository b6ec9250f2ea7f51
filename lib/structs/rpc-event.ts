import type { StreamEvent } from './event.js';
import type { QueryOptions } from './rpc-options.js';

export interface EventRpcStreams {
  /** Changes of the state as the server asked applies them. The first message is empty: the stream is open. */
  'Event.Stream': {
    /** For each topic, or '*', the keys that are wanted; '*' = all. From the oldest change kept, or the first one at or after `Index`. */
    args: { Topics: Record<string, string[]>; Index?: number } & QueryOptions;
    input: never;
    output: EventBatch;
  };
}

/** Events of one index. */
export interface EventBatch {
  Index: number;
  Events: StreamEvent[];
  /** Others of this index follow. */
  More?: true;
}
