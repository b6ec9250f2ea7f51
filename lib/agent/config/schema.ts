import {
  all,
  block,
  choice,
  duration,
  type Fields,
  flag,
  growingTexts,
  integer,
  labelled,
  map,
  object,
  replaced,
  text,
  texts,
} from './fields.js';
import { AUTOSCALER_FIELDS } from './schema-autoscaler.js';
import { CLIENT_FIELDS } from './schema-client.js';
import { SERVER_FIELDS } from './schema-server.js';

const BY_GOSSIP = 'members find each other by their keys over the mesh, so there is no gossip port to name';
const NO_CONSUL = 'services and checks are kept by the mesh itself';
const NO_VAULT = 'secrets are kept in variables';
const PUSH = 'metrics are pulled: /v1/metrics, with ?format=prometheus';

const TELEMETRY_FIELDS: Fields = {
  ...all('collection_interval in_memory_collection_interval in_memory_retention_period', duration),
  ...all('prometheus_metrics disable_hostname use_node_name publish_allocation_metrics publish_node_metrics', flag),
  ...all('include_alloc_metadata_in_metrics filter_default disable_dispatched_job_summary_metrics', flag),
  ...all('disable_quota_utilization_metrics disable_rpc_rate_metrics_labels disable_allocation_hook_metrics', flag),
  ...all('allowed_metadata_keys_in_metrics prefix_filter', texts),
  ...all('statsite_address statsd_address datadog_address datadog_tags', replaced(PUSH)),
  ...all('circonus_api_token circonus_api_app circonus_api_url circonus_submission_interval', replaced(PUSH)),
  ...all('circonus_submission_url circonus_check_id circonus_check_force_metric_activation', replaced(PUSH)),
  ...all('circonus_check_instance_id circonus_check_search_tag circonus_check_tags', replaced(PUSH)),
  ...all('circonus_check_display_name circonus_broker_id circonus_broker_select_tag', replaced(PUSH)),
  ...all(
    'backwards_compatible_metrics disable_tagged_metrics',
    replaced('metrics have tags, and Nomad’s present names'),
  ),
};

/** What is new here beside Nomad's keys. */
export const MESH_FIELDS: Fields = {
  /** Nodes of a DHT of one's own, "host:port"; empty: the local network only; not given: the public DHT. */
  bootstrap: texts,
  /** The UDP port of the mesh; 0: chosen once, and kept. */
  port: integer,
  /** Addresses "host:port" at which other members may be tried first. */
  hints: growingTexts,
  /** What agents that link by plain address must both have. */
  secret: text,
  /** A file that holds it: better than the secret itself in a file that others may read. */
  secret_file: text,
  /** Whether this agent may be made a voter. */
  voter: choice('auto', 'never'),
  /** Whether traffic of other members may be relayed through this one. */
  relay: flag,
  /** On servers: whether the HTTP API of machines that only run work reaches everything, as a server's own does. */
  client_api: flag,
  /** Whether to look for members on the local network by multicast. */
  mdns: flag,
  /** Further addresses "host:port" under which others reach this machine, such as a port that a router forwards. */
  advertise: texts,
  /** A file with the invite to join with; read when this machine is in no mesh yet. */
  join_key_file: text,
};

/** Every key of an agent's configuration: Nomad's, and `mesh`. */
export const AGENT_FIELDS: Fields = {
  ...all('region datacenter name data_dir plugin_dir bind_addr', text),
  log_level: choice('trace', 'debug', 'info', 'warn', 'error', 'off'),
  ...all('log_json log_include_location', flag),
  log_file: text,
  log_rotate_duration: duration,
  ...all('log_rotate_bytes log_rotate_max_files', integer),
  ...all('enable_debug leave_on_interrupt leave_on_terminate', flag),
  ports: block({ ...all('http rpc', integer), serf: replaced(BY_GOSSIP) }),
  addresses: block({ ...all('http rpc', text), serf: replaced(BY_GOSSIP) }),
  advertise: block({ ...all('http rpc', text), serf: replaced(BY_GOSSIP) }),
  server: block(SERVER_FIELDS),
  client: block(CLIENT_FIELDS),
  mesh: block(MESH_FIELDS),
  autoscaler: block(AUTOSCALER_FIELDS),
  // `package` is not Nomad's: a plugin written for this program.
  plugin: labelled({ args: texts, config: object, package: text }),
  acl: block({
    enabled: flag,
    ...all('token_ttl policy_ttl role_ttl token_min_expiration_ttl token_max_expiration_ttl', duration),
    replication_token: replaced('a mesh is one region with one state: there is nothing to replicate from'),
  }),
  telemetry: block(TELEMETRY_FIELDS),
  tls: block({
    ...all('http verify_https_client', flag),
    ...all('ca_file cert_file key_file tls_min_version tls_cipher_suites', text),
    tls_prefer_server_cipher_suites: replaced('the order of cipher suites is the library’s'),
    ...all('rpc rpc_upgrade_mode verify_server_hostname', replaced('links between agents are always encrypted')),
  }),
  limits: block({
    ...all('https_handshake_timeout rpc_handshake_timeout', duration),
    ...all('http_max_conns_per_client rpc_max_conns_per_client', integer),
  }),
  http_api_response_headers: map,
  autopilot: block({
    cleanup_dead_servers: flag,
    ...all('server_stabilization_time last_contact_threshold', duration),
    ...all('max_trailing_logs min_quorum max_voters', integer),
    ...all('enable_redundancy_zones disable_upgrade_migration enable_custom_upgrades', flag),
  }),
  rpc: replaced('links between agents control their own flow'),
  ...all('audit keyring eventlog enable_syslog syslog_facility', replaced('it is not supported yet')),
  consul: replaced(NO_CONSUL),
  vault: replaced(NO_VAULT),
  sentinel: replaced('policies are those of the ACL'),
  ui: replaced('there is no web interface'),
  reporting: replaced('nothing is reported to anyone'),
  disable_update_check: replaced('there is no update check'),
  disable_anonymous_signature: replaced('there is no update check'),
};
