import type { Node, NodeDeviceResource } from '../structs/node.js';
import { computedClass } from '../structs/node-class.js';
import type { ClientConfig } from './config.js';
import type { Facts } from './fingerprint/fact.js';
import type { NodeIdentity } from './identity.js';

/** Puts the node together from what is configured and what was found. Pure. */
export function buildNode(input: {
  identity: NodeIdentity;
  config: ClientConfig;
  httpAddr: string;
  facts: readonly Facts[];
  drivers: Node['Drivers'];
  devices: NodeDeviceResource[] | null;
  meta: Record<string, string>;
  hostVolumes: NonNullable<Node['HostVolumes']>;
  csi: { controllers: Node['CSIControllerPlugins']; nodes: Node['CSINodePlugins'] };
}): Node {
  const { identity, config, facts, drivers } = input;
  const merged = mergeFacts(facts);
  const attributes = { ...merged.attributes };
  for (const { Attributes } of Object.values(drivers)) Object.assign(attributes, Attributes ?? {});
  const cores = merged.cpu?.cores ?? 1;
  const node: Node = {
    ID: identity.nodeId,
    SecretID: identity.secretId,
    Name: config.nodeName,
    Datacenter: config.datacenter,
    NodeClass: config.nodeClass,
    NodePool: config.nodePool,
    ComputedClass: '',
    HTTPAddr: input.httpAddr,
    TLSEnabled: false,
    Attributes: attributes,
    Meta: input.meta,
    Links: merged.links ?? {},
    NodeResources: {
      Cpu: {
        CpuShares: merged.cpu?.totalMhz ?? 0,
        TotalCpuCores: cores,
        ReservableCpuCores: merged.cpu?.reservable ?? Array.from({ length: cores }, (_, core) => core),
      },
      ...(merged.cpu?.topology ? { Processors: { Topology: merged.cpu.topology } } : {}),
      Memory: { MemoryMB: merged.memoryMb ?? 0 },
      Disk: { DiskMB: merged.diskMb ?? 0 },
      Networks: merged.networks ?? null,
      NodeNetworks: merged.nodeNetworks ?? null,
      Devices: input.devices,
      MinDynamicPort: config.minDynamicPort,
      MaxDynamicPort: config.maxDynamicPort,
    },
    ReservedResources: {
      Cpu: {
        CpuShares: merged.cpu?.reservedMhz ?? config.reserved.cpuMhz,
        ...(config.reserved.cores.length > 0 ? { ReservedCpuCores: [...config.reserved.cores] } : {}),
      },
      Memory: { MemoryMB: config.reserved.memoryMb },
      Disk: { DiskMB: config.reserved.diskMb },
      Networks: { ReservedHostPorts: config.reserved.ports },
    },
    Drivers: drivers,
    HostVolumes: input.hostVolumes,
    HostNetworks: config.hostNetworks,
    ...(config.nodeMaxAllocs > 0 ? { NodeMaxAllocs: config.nodeMaxAllocs } : {}),
    CSIControllerPlugins: input.csi.controllers,
    CSINodePlugins: input.csi.nodes,
    Status: 'ready',
    StatusDescription: '',
    StatusUpdatedAt: 0,
    // What was decided about a node that is known already stays.
    SchedulingEligibility: config.defaultIneligible ? 'ineligible' : 'eligible',
    DrainStrategy: null,
    Drain: false,
    LastDrain: null,
    Events: null,
    CreateIndex: 0,
    ModifyIndex: 0,
  };
  return { ...node, ComputedClass: computedClass(node) };
}

/** Later facts over earlier ones; networks of all of them. */
function mergeFacts(facts: readonly Facts[]): Facts {
  const merged: Facts = { attributes: {} };
  for (const fact of facts) {
    const networks = [...(merged.networks ?? []), ...(fact.networks ?? [])];
    const nodeNetworks = [...(merged.nodeNetworks ?? []), ...(fact.nodeNetworks ?? [])];
    const attributes = Object.assign(merged.attributes, fact.attributes);
    const links = { ...merged.links, ...fact.links };
    Object.assign(merged, { ...fact, attributes, networks, nodeNetworks, links });
  }
  return merged;
}
