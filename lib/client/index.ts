// The client: comes from the servers' allocations (Node.GetClientAllocs), goes to the drivers, and back as task states.
export { type Client, type ClientOptions, type ClientStats, createClient } from './client.js';
export { type ClientConfig, DEFAULT_ENV_DENYLIST, defaultClientConfig } from './config.js';
