import {
  refuseConfig,
  type ScalerRpc,
  ScalingNoOp,
  type Target,
  type TargetPlugin,
} from '../../lib/plugin/sdk/autoscaler.js';
import type { TargetStatus } from '../../lib/structs/autoscaling.js';

/** A group of a job: its count is scaled, with the reason among the job's scaling events. */
class TaskGroupTarget implements Target {
  readonly name = 'nomad-target';
  private readonly rpc: ScalerRpc;

  constructor(rpc: ScalerRpc) {
    this.rpc = rpc;
  }

  async status(config: Record<string, string>, { signal }: { signal: AbortSignal }): Promise<TargetStatus> {
    const { namespace, job, group } = read(config);
    const asked = { Namespace: namespace, JobID: job };
    const [{ JobScaleStatus: scale }, { Deployment: deployment }] = await Promise.all([
      this.rpc.call('Job.ScaleStatus', asked, { signal }),
      this.rpc.call('Job.LatestDeployment', asked, { signal }),
    ]);
    const status = scale?.TaskGroups[group];
    if (!scale || !status) throw new Error(`job "${job}" has no group "${group}", or is gone`);
    // What was only noted was no change.
    const last = (status.Events ?? []).find(({ Count }) => Count !== null)?.Time;
    return {
      ready: !scale.JobStopped && !ACTIVE.has(deployment?.Status ?? ''),
      count: status.Desired,
      meta: last === undefined ? {} : { 'nomad_autoscaler.last_event': String(last) },
    };
  }

  async scale(
    action: Parameters<Target['scale']>[0],
    config: Record<string, string>,
    { signal }: { signal: AbortSignal },
  ): Promise<void> {
    const { namespace, job, group } = read(config);
    const isNote = action.count < 0 || action.error;
    const args = {
      Namespace: namespace,
      JobID: job,
      Target: { Namespace: namespace, Job: job, Group: group },
      ...(isNote ? {} : { Count: action.count }),
      Message: action.reason,
      Error: action.error,
      Meta: action.meta,
    };
    try {
      await this.rpc.call('Job.Scale', args, { signal });
    } catch (error) {
      if (error instanceof Error && error.message.includes('active deployment')) throw new ScalingNoOp(error.message);
      throw error;
    }
  }

  async close(): Promise<void> {}
}

/** While one of these is under way the count is the deployment's. */
const ACTIVE = new Set(['running', 'paused', 'pending', 'blocked', 'unblocking', 'initializing']);

function read(config: Record<string, string>): { namespace: string; job: string; group: string } {
  const { Namespace: namespace = 'default', Job: job = '', Group: group = '' } = config;
  if (job === '' || group === '') throw new Error('the target needs Job and Group');
  return { namespace, job, group };
}

const plugin: TargetPlugin = {
  kind: 'target',
  name: 'nomad-target',
  configProblems: refuseConfig,
  create: ({ rpc }) => new TaskGroupTarget(rpc),
};
export default plugin;
