import {
  all,
  block,
  choice,
  decimal,
  duration,
  type Fields,
  flag,
  growingTexts,
  integer,
  replaced,
  text,
  texts,
} from './fields.js';

const BY_AUTOPILOT = 'who serves and who votes is for the mesh to decide; a server founds its own at once';
const BY_INVITE = 'a client names its servers in client.servers, and has their mesh.secret_file';
const BY_RAFT = 'the log has one format and one protocol, chosen by the mesh';

/** The keys of `server { }`. */
export const SERVER_FIELDS: Fields = {
  enabled: flag,
  data_dir: text,
  num_schedulers: integer,
  enabled_schedulers: texts,
  ...all('node_gc_threshold job_gc_interval job_gc_threshold eval_gc_threshold batch_eval_gc_threshold', duration),
  ...all('deployment_gc_threshold csi_volume_claim_gc_interval csi_volume_claim_gc_threshold', duration),
  ...all('csi_plugin_gc_threshold acl_token_gc_threshold', duration),
  ...all('root_key_gc_interval root_key_gc_threshold root_key_rotation_threshold', duration),
  ...all('heartbeat_grace min_heartbeat_ttl failover_heartbeat_ttl start_timeout', duration),
  max_heartbeats_per_second: decimal,
  deploy_query_rate_limit: decimal,
  enable_event_broker: flag,
  ...all('event_buffer_size job_default_priority job_max_priority job_max_count job_tracked_versions', integer),
  job_max_source_size: text,
  default_scheduler_config: block({
    scheduler_algorithm: choice('binpack', 'spread'),
    ...all('memory_oversubscription_enabled reject_job_registration pause_eval_broker', flag),
    node_limit_for_feasibility_checks: integer,
    preemption_config: block(
      all(
        'system_scheduler_enabled sysbatch_scheduler_enabled batch_scheduler_enabled service_scheduler_enabled',
        flag,
      ),
    ),
  }),
  plan_rejection_tracker: block({ enabled: flag, node_threshold: integer, node_window: duration }),
  search: block({ fuzzy_enabled: flag, ...all('limit_query limit_results min_term_length', integer) }),
  ...all('start_join retry_join', growingTexts),
  retry_max: integer,
  retry_interval: duration,
  server_join: block({
    start_join: growingTexts,
    retry_join: growingTexts,
    retry_max: integer,
    retry_interval: duration,
  }),
  bootstrap_expect: replaced(BY_AUTOPILOT),
  ...all('non_voting_server redundancy_zone upgrade_version', replaced(BY_AUTOPILOT)),
  authoritative_region: replaced('a mesh is one region with one state'),
  rejoin_after_leave: replaced('an agent that starts again is in its mesh again; to leave it, remove the member'),
  encrypt: replaced('every link is encrypted with the keys of its two ends'),
  ...all('protocol_version raft_protocol raft_multiplier raft_boltdb raft_logstore', replaced(BY_RAFT)),
  ...all('raft_snapshot_threshold raft_snapshot_interval raft_trailing_logs', replaced(BY_RAFT)),
  plan_apply_pipeline: replaced('the depth of the plan pipeline is not a setting'),
  client_introduction: replaced(BY_INVITE),
  license_path: replaced('there is no licence to be bought'),
  non_production: replaced('there is no licence to be bought'),
  oidc_issuer: replaced('workload identities are signed by the mesh, under its own address'),
  log_file: replaced('one log serves the agent: log_file'),
};
