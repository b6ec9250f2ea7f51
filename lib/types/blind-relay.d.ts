declare module 'blind-relay' {
  import type { EventEmitter } from 'node:events';
  import type { RawStreamOptions } from 'hyperdht';

  class Server {
    constructor(options: { createStream: (options: RawStreamOptions) => unknown });
    readonly stats: { readonly streams: { readonly active: number } };
    accept(stream: unknown, options: { id: Buffer }): EventEmitter;
    close(): Promise<void>;
  }

  const relay: { readonly Server: typeof Server };
  export default relay;
}
