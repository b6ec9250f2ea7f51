import type { NetworkResource, Port, Resources } from '../structs/resources.js';
import { CPU_MHZ, MEMORY_MB } from './defaults.js';
import { canonicalAffinity, canonicalConstraint, eachOrNull, listOrNull, oneOrNull, or } from './loose.js';
import type { Raw } from './schema/field.js';

function canonicalPort(raw: Raw): Port {
  return {
    Label: or(raw['Label'], ''),
    Value: or(raw['Value'], 0),
    To: or(raw['To'], 0),
    HostNetwork: (raw['HostNetwork'] as string) || 'default',
    IgnoreCollision: or(raw['IgnoreCollision'], false),
  };
}

export function canonicalNetwork(raw: Raw): NetworkResource {
  return {
    Mode: or(raw['Mode'], ''),
    // The node's to choose.
    Device: '',
    CIDR: or(raw['CIDR'], ''),
    IP: or(raw['IP'], ''),
    Hostname: or(raw['Hostname'], ''),
    MBits: or(raw['MBits'], 0),
    DNS: oneOrNull(raw['DNS'], (dns) => ({
      Servers: listOrNull(dns['Servers']),
      Searches: listOrNull(dns['Searches']),
      Options: listOrNull(dns['Options']),
    })),
    ReservedPorts: eachOrNull(raw['ReservedPorts'], canonicalPort),
    DynamicPorts: eachOrNull(raw['DynamicPorts'], canonicalPort),
    CNI: oneOrNull(raw['CNI'], (cni) => ({ Args: or<Record<string, string>>(cni['Args'], {}) })),
  };
}

/** A key that Nomad's API does not have: there only when it is said. */
function given<K extends string>(key: K, value: unknown): { [P in K]?: number } {
  return value === null || value === undefined ? {} : ({ [key]: value } as { [P in K]?: number });
}

/** 100 MHz unless cores are asked for, 300 MB. */
export function canonicalResources(raw: Raw): Resources {
  const asksForCores = raw['Cores'] !== null && raw['Cores'] !== undefined;
  return {
    CPU: or(raw['CPU'], asksForCores ? 0 : CPU_MHZ),
    Cores: or(raw['Cores'], 0),
    MemoryMB: or(raw['MemoryMB'], MEMORY_MB),
    MemoryMaxMB: or(raw['MemoryMaxMB'], 0),
    // Disk space is the group's: what a task says of it has no effect.
    DiskMB: 0,
    IOPS: or(raw['IOPS'], 0),
    SecretsMB: or(raw['SecretsMB'], 0),
    Networks: eachOrNull(raw['Networks'], canonicalNetwork),
    Devices: eachOrNull(raw['Devices'], (device) => ({
      Name: or(device['Name'], ''),
      Count: or(device['Count'], 1),
      Constraints: eachOrNull(device['Constraints'], canonicalConstraint),
      Affinities: eachOrNull(device['Affinities'], canonicalAffinity),
      ...given('Share', device['Share']),
      ...given('MemoryMB', device['MemoryMB']),
    })),
    NUMA: oneOrNull(raw['NUMA'], (numa) => ({
      Affinity: (numa['Affinity'] as string) || 'none',
      Devices: listOrNull(numa['Devices']),
    })),
  };
}
