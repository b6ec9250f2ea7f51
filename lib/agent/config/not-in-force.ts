import { optionsWithoutEffect } from './client-options.js';
import type { Checked } from './read.js';

/**
 * Keys that are known and checked, and that nothing in this version acts on: named once in the log when they are given, never
 * passed over in silence. Whoever makes one work takes its line away.
 */
const PATHS = [
  'enable_debug leave_on_interrupt leave_on_terminate telemetry',
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

function isGiven(given: unknown, path: string): boolean {
  let here = given;
  for (const key of path.split('.')) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, key)) return false;
    here = (here as Record<string, unknown>)[key];
  }
  return here !== undefined;
}
