import type { Client, ClientStats } from '../client/client.js';
import type { MetricPoint } from '../http/agent-facts.js';
import type { RunningConsensus } from '../server/consensus.js';
import type { Server } from '../server/server.js';
import type { Store } from '../state/store.js';
import { gauge, type MetricSource } from './metrics.js';

/** A server's figures under Nomad's names. */
export function serverMetrics(server: Server, consensus: RunningConsensus, store: Store): MetricSource {
  return () => {
    const { broker, blocked, plansInFlight } = server.counts();
    const raft = consensus.stats();
    const snapshot = store.snapshot();
    return [
      gauge('nomad.nomad.broker.total_ready', broker.ready),
      gauge('nomad.nomad.broker.total_unacked', broker.outstanding),
      gauge('nomad.nomad.broker.total_pending', broker.pending),
      gauge('nomad.nomad.broker.total_waiting', broker.delayed),
      gauge('nomad.nomad.blocked_evals.total_blocked', blocked.captured),
      gauge('nomad.nomad.blocked_evals.total_escaped', blocked.escaped),
      gauge('nomad.nomad.plan.queue_depth', plansInFlight),
      gauge('nomad.raft.commit_index', raft.commitIndex),
      gauge('nomad.raft.applied_index', raft.appliedIndex),
      gauge('nomad.raft.last_index', raft.lastIndex),
      gauge('nomad.raft.is_leader', consensus.isLeader ? 1 : 0),
      gauge('nomad.state.jobs', snapshot.count('jobs')),
      gauge('nomad.state.allocs', snapshot.count('allocs')),
      gauge('nomad.state.evals', snapshot.count('evals')),
      gauge('nomad.state.nodes', snapshot.count('nodes')),
    ];
  };
}

/** A client's figures under Nomad's names, labelled with its node. */
export function clientMetrics(client: Client): MetricSource {
  return () => {
    const { ID, Name, Datacenter, NodeClass, NodePool, Status, SchedulingEligibility, NodeResources } = client.node();
    const labels = {
      node_id: ID,
      host: Name,
      datacenter: Datacenter,
      node_class: NodeClass || 'none',
      node_pool: NodePool,
      node_status: Status,
      node_scheduling_eligibility: SchedulingEligibility,
    };
    const stats = client.stats();
    return [
      ...Object.entries(stats.allocs).map(([status, count]) =>
        gauge(`nomad.client.allocations.${status}`, count, labels),
      ),
      gauge('nomad.client.host.cpu.total_compute_mhz', NodeResources.Cpu.CpuShares, labels),
      gauge('nomad.client.host.memory.total', NodeResources.Memory.MemoryMB * 1024 * 1024, labels),
      gauge('nomad.client.host.disk.size', NodeResources.Disk.DiskMB * 1024 * 1024, labels),
      gauge('nomad.client.unacknowledged_updates', stats.unacknowledged, labels),
      ...stats.volumes.flatMap((volume) => volumeMetrics(volume, labels)),
    ];
  };
}

/** What a volume takes of its storage, and whether it is well. */
function volumeMetrics(
  { allocId, namespace, volumeId, Usage, Condition }: ClientStats['volumes'][number],
  node: Record<string, string>,
): MetricPoint[] {
  const labels = { ...node, namespace, volume_id: volumeId, alloc_id: allocId };
  const name = (what: string): string => `nomad.client.csi_volume.${what}`;
  const points = Usage.flatMap(({ Unit, Total, Used, Available }) => {
    const unit = Unit.toLowerCase();
    return [
      gauge(name(`${unit}_total`), Total, labels),
      gauge(name(`${unit}_used`), Used, labels),
      gauge(name(`${unit}_available`), Available, labels),
    ];
  });
  return Condition ? [...points, gauge(name('abnormal'), Condition.Abnormal ? 1 : 0, labels)] : points;
}
