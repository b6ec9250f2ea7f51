// The configuration of an agent: comes from files and flags, goes to agent/ (and `config validate`).
export type * from './config.js';
export { machineAddresses, readConfigFiles } from './files.js';
export { loadAgentConfig } from './parse.js';
export { diffReloadable } from './reload.js';
