import {
  boolOrFalse,
  byLabel,
  duration,
  free,
  intOrZero,
  label,
  list,
  one,
  type Struct,
  textOrEmpty,
  texts,
  UINT16,
  UINT32,
  upTo,
} from './field.js';
import { network, resources } from './resources.js';
import { identity, logs, volumeMount } from './task-parts.js';

// Consul's mesh: understood so that every job file can be read and printed.

const meshGateway: Struct = { name: 'mesh_gateway', fields: [textOrEmpty('mode', 'Mode')] };

const upstream: Struct = {
  name: 'upstreams',
  fields: [
    textOrEmpty('destination_name', 'DestinationName'),
    textOrEmpty('destination_namespace', 'DestinationNamespace'),
    textOrEmpty('destination_peer', 'DestinationPeer'),
    textOrEmpty('destination_partition', 'DestinationPartition'),
    textOrEmpty('destination_type', 'DestinationType'),
    intOrZero('local_bind_port', 'LocalBindPort'),
    textOrEmpty('datacenter', 'Datacenter'),
    textOrEmpty('local_bind_address', 'LocalBindAddress'),
    textOrEmpty('local_bind_socket_path', 'LocalBindSocketPath'),
    textOrEmpty('local_bind_socket_mode', 'LocalBindSocketMode'),
    one('mesh_gateway', 'MeshGateway', meshGateway),
    free('config', 'Config', 'any'),
  ],
};

const exposePath: Struct = {
  name: 'path',
  fields: [
    textOrEmpty('path', 'Path'),
    textOrEmpty('protocol', 'Protocol'),
    intOrZero('local_path_port', 'LocalPathPort'),
    textOrEmpty('listener_port', 'ListenerPort'),
  ],
};

/** The API knows two names for the paths, and two for the block. */
const expose: Struct = { name: 'expose', fields: [list('path', 'Path', exposePath), list(null, 'Paths', exposePath)] };

const transparentProxy: Struct = {
  name: 'transparent_proxy',
  fields: [
    textOrEmpty('uid', 'UID'),
    upTo(UINT16, 0)('outbound_port', 'OutboundPort'),
    texts('exclude_inbound_ports', 'ExcludeInboundPorts'),
    upTo(UINT16, null, 'ints')('exclude_outbound_ports', 'ExcludeOutboundPorts'),
    texts('exclude_outbound_cidrs', 'ExcludeOutboundCIDRs'),
    texts('exclude_uids', 'ExcludeUIDs'),
    boolOrFalse('no_dns', 'NoDNS'),
  ],
};

const sidecarService: Struct = {
  name: 'sidecar_service',
  fields: [
    texts('tags', 'Tags'),
    textOrEmpty('port', 'Port'),
    boolOrFalse('disable_default_tcp_check', 'DisableDefaultTCPCheck'),
    free('meta', 'Meta'),
    one('proxy', 'Proxy', {
      name: 'proxy',
      fields: [
        textOrEmpty('local_service_address', 'LocalServiceAddress'),
        intOrZero('local_service_port', 'LocalServicePort'),
        // `Expose` with `Paths` is the newer spelling of the same; every version understands this one.
        one('expose', 'ExposeConfig', expose),
        one(null, 'Expose', expose),
        list('upstreams', 'Upstreams', upstream),
        one('transparent_proxy', 'TransparentProxy', transparentProxy),
        free('config', 'Config', 'any'),
      ],
    }),
  ],
};

/** Its ports are not sorted into static and dynamic ones, as in Nomad. */
const sidecarResources: Struct = {
  ...resources,
  fields: resources.fields.map((field) =>
    field.form === 'block' && field.struct === network
      ? { ...field, struct: { name: network.name, fields: network.fields } }
      : field,
  ),
};

const sidecarTask: Struct = {
  name: 'sidecar_task',
  fields: [
    textOrEmpty('name', 'Name'),
    textOrEmpty('driver', 'Driver'),
    textOrEmpty('user', 'User'),
    free('config', 'Config', 'any'),
    free('env', 'Env'),
    one('resources', 'Resources', sidecarResources),
    free('meta', 'Meta'),
    duration('kill_timeout', 'KillTimeout'),
    one('logs', 'LogConfig', logs),
    duration('shutdown_delay', 'ShutdownDelay'),
    textOrEmpty('kill_signal', 'KillSignal'),
    list('volume_mount', 'VolumeMounts', volumeMount),
    list('identity', 'Identities', identity),
  ],
};

const gatewayTls: Struct = {
  name: 'tls',
  fields: [
    boolOrFalse('enabled', 'Enabled'),
    textOrEmpty('tls_min_version', 'TLSMinVersion'),
    textOrEmpty('tls_max_version', 'TLSMaxVersion'),
    texts('cipher_suites', 'CipherSuites'),
    one('sds', 'SDS', {
      name: 'sds',
      fields: [textOrEmpty('cluster_name', 'ClusterName'), textOrEmpty('cert_resource', 'CertResource')],
    }),
  ],
};

const headerModifiers = (name: string): Struct => ({
  name,
  fields: [free('add', 'Add'), free('set', 'Set'), texts('remove', 'Remove')],
});

const ingressService: Struct = {
  name: 'service',
  fields: [
    textOrEmpty('name', 'Name'),
    texts('hosts', 'Hosts'),
    one('tls', 'TLS', gatewayTls),
    one('request_headers', 'RequestHeaders', headerModifiers('request_headers')),
    one('response_headers', 'ResponseHeaders', headerModifiers('response_headers')),
    upTo(UINT32)('max_connections', 'MaxConnections'),
    upTo(UINT32)('max_pending_requests', 'MaxPendingRequests'),
    upTo(UINT32)('max_concurrent_requests', 'MaxConcurrentRequests'),
  ],
};

const ingress: Struct = {
  name: 'ingress',
  fields: [
    one('tls', 'TLS', gatewayTls),
    list('listener', 'Listeners', {
      name: 'listener',
      fields: [
        intOrZero('port', 'Port'),
        textOrEmpty('protocol', 'Protocol'),
        list('service', 'Services', ingressService),
      ],
    }),
  ],
};

const terminating: Struct = {
  name: 'terminating',
  fields: [
    list('service', 'Services', {
      name: 'service',
      fields: [
        textOrEmpty('name', 'Name'),
        textOrEmpty('ca_file', 'CAFile'),
        textOrEmpty('cert_file', 'CertFile'),
        textOrEmpty('key_file', 'KeyFile'),
        textOrEmpty('sni', 'SNI'),
      ],
    }),
  ],
};

const gatewayProxy: Struct = {
  name: 'proxy',
  fields: [
    duration('connect_timeout', 'ConnectTimeout'),
    boolOrFalse('envoy_gateway_bind_tagged_addresses', 'EnvoyGatewayBindTaggedAddresses'),
    byLabel('envoy_gateway_bind_addresses', 'EnvoyGatewayBindAddresses', {
      name: 'envoy_gateway_bind_addresses',
      fields: [label('Name'), textOrEmpty('address', 'Address'), intOrZero('port', 'Port')],
    }),
    boolOrFalse('envoy_gateway_no_default_bind', 'EnvoyGatewayNoDefaultBind'),
    textOrEmpty('envoy_dns_discovery_type', 'EnvoyDNSDiscoveryType'),
    free('config', 'Config', 'any'),
  ],
};

export const connect: Struct = {
  name: 'connect',
  fields: [
    boolOrFalse('native', 'Native'),
    one('gateway', 'Gateway', {
      name: 'gateway',
      fields: [
        one('proxy', 'Proxy', gatewayProxy),
        one('ingress', 'Ingress', ingress),
        one('terminating', 'Terminating', terminating),
        one('mesh', 'Mesh', { name: 'mesh', fields: [] }),
      ],
    }),
    one('sidecar_service', 'SidecarService', sidecarService),
    one('sidecar_task', 'SidecarTask', sidecarTask),
  ],
};
