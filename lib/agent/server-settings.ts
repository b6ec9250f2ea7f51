import type { AutopilotConfiguration } from '../structs/operator.js';
import type { SchedulerConfiguration } from '../structs/rpc.js';
import { JOB_LIMITS, PRIORITY_LIMIT } from '../structs/validate/limits.js';
import { parseByteSize } from '../util/byte-size.js';
import { toNanos } from '../util/clock.js';
import type { ServerSection } from './config/config.js';
import type { AgentConfig } from './config/index.js';
import type { AgentSettings } from './settings.js';

type ServerSettings = NonNullable<AgentSettings['server']>;

/** The `server { }` block, and what belongs to it; what is wrong is added to `problems`. */
export function serverSettings({ server, autopilot }: AgentConfig, problems: string[]): ServerSettings {
  return {
    autopilot: autopilotSettings(autopilot),
    scheduler: schedulerSettings(server.schedulerConfig),
    jobs: jobSettings(server, problems),
    heartbeat: {
      graceMs: server.heartbeatGraceMs,
      ttlMinMs: server.heartbeatTtlMinMs,
      leaderChangeMs: server.heartbeatTtlFailoverMs,
      perSecondMax: server.heartbeatsPerSecondMax,
    },
    gc: {
      intervalMs: server.gc.intervalMs,
      evalMs: server.gc.evalMs,
      batchEvalMs: server.gc.batchEvalMs,
      jobMs: server.gc.jobMs,
      nodeMs: server.gc.nodeMs,
      deploymentMs: server.gc.deploymentMs,
    },
    eventBufferSize: server.enableEventBroker ? server.eventBufferSize : 0,
    ...(server.planRejections ? { planRejections: server.planRejections } : {}),
  };
}

/** The limits of jobs, held to each other as Nomad holds them. */
function jobSettings(server: ServerSection, problems: string[]): NonNullable<ServerSettings['jobs']> {
  const { jobDefaultPriority: defaultPriority, jobMaxPriority: priorityMax, jobMaxCount: countMax } = server;
  if (priorityMax < 1 || priorityMax > PRIORITY_LIMIT) {
    problems.push(`server.job_max_priority must lie between 1 and ${PRIORITY_LIMIT}, not ${priorityMax}`);
  } else if (defaultPriority < 1 || defaultPriority > priorityMax) {
    problems.push(
      `server.job_default_priority must lie between 1 and job_max_priority, ${priorityMax}, not ${defaultPriority}`,
    );
  }
  if (countMax < 1) problems.push(`server.job_max_count must be 1 at least, not ${countMax}`);
  const size = server.jobMaxSourceSize;
  const sourceBytesMax = size === null ? JOB_LIMITS.sourceBytesMax : parseByteSize(size);
  if (sourceBytesMax === null) {
    problems.push(`server.job_max_source_size: ${JSON.stringify(size)} is no size such as "1MiB"`);
  }
  return { defaultPriority, priorityMax, countMax, sourceBytesMax: sourceBytesMax ?? 0 };
}

/** The `default_scheduler_config { }` block, in the words of the API. */
function schedulerSettings(block: Record<string, unknown>): Partial<SchedulerConfiguration> {
  const preemption = (block['preemption_config'] ?? {}) as Record<string, unknown>;
  const kinds = given({
    SystemSchedulerEnabled: preemption['system_scheduler_enabled'],
    SysBatchSchedulerEnabled: preemption['sysbatch_scheduler_enabled'],
    BatchSchedulerEnabled: preemption['batch_scheduler_enabled'],
    ServiceSchedulerEnabled: preemption['service_scheduler_enabled'],
  });
  return given({
    SchedulerAlgorithm: block['scheduler_algorithm'],
    MemoryOversubscriptionEnabled: block['memory_oversubscription_enabled'],
    RejectJobRegistration: block['reject_job_registration'],
    PauseEvalBroker: block['pause_eval_broker'],
    NodeLimitForFeasibilityChecks: block['node_limit_for_feasibility_checks'],
    PreemptionConfig: Object.keys(kinds).length > 0 ? kinds : undefined,
  });
}

/** The `autopilot { }` block, in the words of the API. */
function autopilotSettings(block: Record<string, unknown>): Partial<AutopilotConfiguration> {
  return given({
    CleanupDeadServers: block['cleanup_dead_servers'],
    LastContactThreshold: nanos(block['last_contact_threshold']),
    MaxTrailingLogs: block['max_trailing_logs'],
    MaxVoters: block['max_voters'],
    MinQuorum: block['min_quorum'],
    ServerStabilizationTime: nanos(block['server_stabilization_time']),
  });
}

/** Without what the files do not say. */
function given(values: Record<string, unknown>) {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function nanos(ms: unknown): number | undefined {
  return typeof ms === 'number' ? toNanos(ms) : undefined;
}
