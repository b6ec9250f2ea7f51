import { optionsWithoutEffect } from './client-options.js';
import type { AgentConfig } from './config.js';
import type { Checked } from './read.js';

/**
 * Keys that are known and checked, and that nothing in this version acts on: named once in the log when they are given, never
 * passed over in silence. Whoever makes one work takes its line away.
 */
const PATHS = [
  'enable_debug telemetry',
  'autopilot.enable_redundancy_zones autopilot.disable_upgrade_migration autopilot.enable_custom_upgrades',
  'log_include_location log_rotate_bytes log_rotate_duration log_rotate_max_files',
  'advertise.http advertise.rpc',
  'tls.tls_min_version tls.tls_cipher_suites',
  'limits.https_handshake_timeout limits.rpc_handshake_timeout limits.rpc_max_conns_per_client',
  'server.data_dir server.num_schedulers server.enabled_schedulers server.start_timeout server.deploy_query_rate_limit',
  'server.csi_volume_claim_gc_interval server.csi_volume_claim_gc_threshold server.csi_plugin_gc_threshold',
  'server.acl_token_gc_threshold server.root_key_gc_interval server.root_key_gc_threshold',
  'server.root_key_rotation_threshold server.search',
  'server.job_tracked_versions server.retry_max server.retry_interval',
  'client.gc_volumes_on_node_gc',
].flatMap((line) => line.split(' '));

/** A notice for each such key that the files or flags give. */
export function notInForce(given: Checked): string[] {
  const { options = {} } = (given['client'] ?? {}) as { options?: Record<string, string> };
  const paths = [
    ...PATHS.filter((path) => isGiven(given, path)),
    ...optionsWithoutEffect(options).map((key) => `client.options ${key}`),
  ];
  return paths.map((path) => `"${path}" has no effect yet in this version`);
}

/** What is said of the way an agent ends goes together: a part alone does nothing. */
export function halvesOfLeaving({ leaveOnInterrupt, leaveOnTerminate, client }: AgentConfig): string[] {
  const drains = client.enabled && client.drainOnShutdown !== null;
  const leaves = { leave_on_interrupt: leaveOnInterrupt, leave_on_terminate: leaveOnTerminate };
  const said = Object.entries(leaves).flatMap(([key, isOn]) => (isOn ? [key] : []));
  if (client.drainOnShutdown !== null && said.length === 0)
    return ['"client.drain_on_shutdown" has no effect without leave_on_interrupt or leave_on_terminate'];
  if (drains) return [];
  return said.map((key) => `"${key}" has no effect here: it goes with client { drain_on_shutdown { } }, and a client`);
}

function isGiven(given: unknown, path: string): boolean {
  let here = given;
  for (const key of path.split('.')) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, key)) return false;
    here = (here as Record<string, unknown>)[key];
  }
  return here !== undefined;
}
