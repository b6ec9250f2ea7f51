// The server role: comes from lib/http and from clients as RPC (RpcHandlers), goes through Consensus into lib/state, and
// from there, on the leader, to lib/scheduler and back as plans.

export type { Consensus } from './ports.js';
export { createServer, type Server, type ServerOptions } from './server.js';
export { systemTimers, type Timers } from './timers.js';
export type { Schedule } from './worker.js';
export type { ServerConfig } from './world.js';
