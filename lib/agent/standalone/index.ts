// An autoscaler in a process of its own: comes from cli/commands/autoscaler, goes to lib/autoscaler with the HTTP API of an agent.
export type { NomadSection } from './config.js';
export { runStandalone } from './run.js';
