import type { ServiceRegistration } from '../structs/service.js';

/** Some instances for Prometheus: where they are, and labels that its relabelling goes by. */
export interface TargetGroup {
  targets: [string];
  labels: Record<string, string>;
}

/** Instances as Prometheus' HTTP service discovery takes them, with the labels that its discovery for Nomad gives them. */
export function targetGroups(instances: readonly ServiceRegistration[]): TargetGroup[] {
  return instances.map((one) => ({
    targets: [`${one.Address.includes(':') ? `[${one.Address}]` : one.Address}:${one.Port}`],
    labels: {
      __meta_nomad_address: one.Address,
      __meta_nomad_dc: one.Datacenter,
      __meta_nomad_namespace: one.Namespace,
      __meta_nomad_node_id: one.NodeID,
      __meta_nomad_service: one.ServiceName,
      __meta_nomad_service_address: one.Address,
      __meta_nomad_service_id: one.ID,
      __meta_nomad_service_port: String(one.Port),
      // With commas around each, so that `.*,TAG,.*` finds it.
      ...(one.Tags && one.Tags.length > 0 ? { __meta_nomad_tags: `,${one.Tags.join(',')},` } : {}),
    },
  }));
}
