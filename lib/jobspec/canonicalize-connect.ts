import { canonicalIdentity } from './canonicalize-identity.js';
import { canonicalMount } from './canonicalize-mount.js';
import { canonicalResources } from './canonicalize-network.js';
import { CONNECT_TIMEOUT_NS, KILL_TIMEOUT_NS, LOGS } from './defaults.js';
import { eachOrNull, listOrNull, mapOrNull, merge, oneOrNull, or, orNull } from './loose.js';
import type { Raw } from './schema/field.js';

// Consul's mesh: printed as Nomad prints it, although a job that asks for it is refused.

/** `connect` with every default filled in. */
export function canonicalConnect(raw: Raw): Record<string, unknown> {
  return {
    Native: or(raw['Native'], false),
    SidecarService: oneOrNull(raw['SidecarService'], sidecarService),
    SidecarTask: oneOrNull(raw['SidecarTask'], sidecarTask),
    Gateway: oneOrNull(raw['Gateway'], gateway),
  };
}

function sidecarService(raw: Raw): unknown {
  return {
    Tags: listOrNull(raw['Tags']),
    Port: or(raw['Port'], ''),
    Proxy: oneOrNull(raw['Proxy'], proxy),
    DisableDefaultTCPCheck: or(raw['DisableDefaultTCPCheck'], false),
    Meta: mapOrNull(raw['Meta']),
  };
}

function proxy(raw: Raw): unknown {
  return {
    LocalServiceAddress: or(raw['LocalServiceAddress'], ''),
    LocalServicePort: or(raw['LocalServicePort'], 0),
    Upstreams: eachOrNull(raw['Upstreams'], upstream),
    // The older name of each comes first: who writes it means it.
    Expose: oneOrNull(raw['ExposeConfig'] ?? raw['Expose'], (expose) => ({
      Paths: eachOrNull(expose['Path'] ?? expose['Paths'], exposedPath),
    })),
    TransparentProxy: oneOrNull(raw['TransparentProxy'], transparentProxy),
    Config: mapOrNull(raw['Config']),
  };
}

function upstream(raw: Raw): unknown {
  return {
    DestinationName: or(raw['DestinationName'], ''),
    DestinationNamespace: or(raw['DestinationNamespace'], ''),
    DestinationPeer: or(raw['DestinationPeer'], ''),
    DestinationPartition: or(raw['DestinationPartition'], ''),
    DestinationType: or(raw['DestinationType'], ''),
    LocalBindPort: or(raw['LocalBindPort'], 0),
    Datacenter: or(raw['Datacenter'], ''),
    LocalBindAddress: or(raw['LocalBindAddress'], ''),
    LocalBindSocketPath: or(raw['LocalBindSocketPath'], ''),
    LocalBindSocketMode: or(raw['LocalBindSocketMode'], ''),
    MeshGateway: { Mode: or(orNull<Raw>(raw['MeshGateway'])?.['Mode'], '') },
    Config: mapOrNull(raw['Config']),
  };
}

function exposedPath(raw: Raw): unknown {
  return {
    Path: or(raw['Path'], ''),
    Protocol: or(raw['Protocol'], ''),
    LocalPathPort: or(raw['LocalPathPort'], 0),
    ListenerPort: or(raw['ListenerPort'], ''),
  };
}

function transparentProxy(raw: Raw): unknown {
  return {
    UID: or(raw['UID'], ''),
    OutboundPort: or(raw['OutboundPort'], 0),
    ExcludeInboundPorts: listOrNull(raw['ExcludeInboundPorts']),
    ExcludeOutboundPorts: listOrNull(raw['ExcludeOutboundPorts']),
    ExcludeOutboundCIDRs: listOrNull(raw['ExcludeOutboundCIDRs']),
    ExcludeUIDs: listOrNull(raw['ExcludeUIDs']),
    NoDNS: or(raw['NoDNS'], false),
  };
}

function sidecarTask(raw: Raw): unknown {
  return {
    Name: or(raw['Name'], ''),
    Driver: or(raw['Driver'], ''),
    User: or(raw['User'], ''),
    Config: mapOrNull(raw['Config']),
    Env: mapOrNull(raw['Env']),
    Resources: sidecarResources(or<Raw>(raw['Resources'], {})),
    Meta: mapOrNull(raw['Meta']),
    KillTimeout: or(raw['KillTimeout'], KILL_TIMEOUT_NS),
    LogConfig: merge(LOGS, raw['LogConfig']),
    ShutdownDelay: or(raw['ShutdownDelay'], 0),
    KillSignal: or(raw['KillSignal'], ''),
    VolumeMounts: eachOrNull(raw['VolumeMounts'], canonicalMount),
    Identities: eachOrNull(raw['Identities'], (identity) => ({
      ...canonicalIdentity(identity),
      ChangeSignal: or(identity['ChangeSignal'], ''),
    })),
  };
}

/** The resources of a task, but its ports' host network stays open. */
function sidecarResources(raw: Raw): unknown {
  const written = (ports: unknown): Raw[] => listOrNull<Raw>(ports) ?? [];
  const resources = canonicalResources(raw);
  for (const [i, network] of (resources.Networks ?? []).entries()) {
    const given = listOrNull<Raw>(raw['Networks'])?.[i];
    for (const key of ['ReservedPorts', 'DynamicPorts'] as const) {
      for (const [p, port] of (network[key] ?? []).entries()) {
        port.HostNetwork = or(written(given?.[key])[p]?.['HostNetwork'], '');
      }
    }
  }
  return resources;
}

function gateway(raw: Raw): unknown {
  return {
    Proxy: oneOrNull(raw['Proxy'], gatewayProxy),
    Ingress: oneOrNull(raw['Ingress'], (ingress) => ({
      TLS: oneOrNull(ingress['TLS'], gatewayTls),
      Listeners: eachOrNull(ingress['Listeners'], (listener) => ({
        Port: or(listener['Port'], 0),
        Protocol: or(listener['Protocol'], '') || 'tcp',
        Services: eachOrNull(listener['Services'], ingressService),
      })),
    })),
    Terminating: oneOrNull(raw['Terminating'], (terminating) => ({
      Services: eachOrNull(terminating['Services'], linkedService),
    })),
    Mesh: oneOrNull(raw['Mesh'], () => ({})),
  };
}

function gatewayProxy(raw: Raw): unknown {
  const addresses = Object.entries(or<Record<string, Raw>>(raw['EnvoyGatewayBindAddresses'], {}));
  return {
    ConnectTimeout: or(raw['ConnectTimeout'], CONNECT_TIMEOUT_NS),
    EnvoyGatewayBindTaggedAddresses: or(raw['EnvoyGatewayBindTaggedAddresses'], false),
    EnvoyGatewayBindAddresses: mapOrNull(
      Object.fromEntries(
        addresses.map(([name, at]) => [name, { Address: or(at['Address'], ''), Port: or(at['Port'], 0) }]),
      ),
    ),
    EnvoyGatewayNoDefaultBind: or(raw['EnvoyGatewayNoDefaultBind'], false),
    EnvoyDNSDiscoveryType: or(raw['EnvoyDNSDiscoveryType'], ''),
    Config: mapOrNull(raw['Config']),
  };
}

function gatewayTls(raw: Raw): unknown {
  return {
    Enabled: or(raw['Enabled'], false),
    TLSMinVersion: or(raw['TLSMinVersion'], ''),
    TLSMaxVersion: or(raw['TLSMaxVersion'], ''),
    CipherSuites: listOrNull(raw['CipherSuites']),
    SDS: oneOrNull(raw['SDS'], (sds) => ({
      ClusterName: or(sds['ClusterName'], ''),
      CertResource: or(sds['CertResource'], ''),
    })),
  };
}

function headers(raw: Raw): unknown {
  return { Add: mapOrNull(raw['Add']), Set: mapOrNull(raw['Set']), Remove: listOrNull(raw['Remove']) };
}

function ingressService(raw: Raw): unknown {
  return {
    Name: or(raw['Name'], ''),
    Hosts: listOrNull(raw['Hosts']),
    TLS: oneOrNull(raw['TLS'], gatewayTls),
    RequestHeaders: oneOrNull(raw['RequestHeaders'], headers),
    ResponseHeaders: oneOrNull(raw['ResponseHeaders'], headers),
    MaxConnections: orNull(raw['MaxConnections']),
    MaxPendingRequests: orNull(raw['MaxPendingRequests']),
    MaxConcurrentRequests: orNull(raw['MaxConcurrentRequests']),
  };
}

function linkedService(raw: Raw): unknown {
  return {
    Name: or(raw['Name'], ''),
    CAFile: or(raw['CAFile'], ''),
    CertFile: or(raw['CertFile'], ''),
    KeyFile: or(raw['KeyFile'], ''),
    SNI: or(raw['SNI'], ''),
  };
}
