// The configuration of an agent: comes from files and flags, goes to agent/ (and `config validate`).
export { type InterfaceAddress, resolveAddress } from './address.js';
export type * from './config.js';
export { machineAddresses, readConfigFiles } from './files.js';
export { type ConfigFile, type ConfigInput, type LoadedConfig, loadAgentConfig } from './parse.js';
export { diffReloadable, type ReloadDiff } from './reload.js';
