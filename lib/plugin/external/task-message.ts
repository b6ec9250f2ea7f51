import { encodeMsgpack } from '../schema/msgpack.js';
import type { TaskConfig } from '../sdk/driver.js';

const MIB = 1024 * 1024;

/** Where a task's output goes. */
export interface OutputPaths {
  stdout: string;
  stderr: string;
}

/**
 * A task as driver plugins are told of it (drivers.proto, TaskConfig). Its config has been decoded by the plugin's schema.
 * `cpusetCgroup`: the control group that says on which cores it runs, '' = none.
 */
export function taskMessage(task: TaskConfig, output: OutputPaths, cpusetCgroup: string): object {
  const { resources, network, dns } = task;
  return {
    id: task.id,
    name: task.name,
    alloc_id: task.allocId,
    job_id: task.jobId,
    job_name: task.jobName,
    task_group_name: task.taskGroup,
    namespace: task.namespace,
    node_id: task.nodeId,
    node_name: task.nodeName,
    user: task.user,
    msgpack_driver_config: encodeMsgpack(task.config),
    env: task.env,
    resources: {
      allocated_resources: {
        cpu: { cpu_shares: resources.cpuMhz },
        memory: { memory_mb: resources.memoryMb, memory_max_mb: resources.memoryMaxMb },
      },
      linux_resources: {
        cpu_shares: resources.cpuMhz,
        memory_limit_bytes: Math.max(resources.memoryMb, resources.memoryMaxMb) * MIB,
        cpuset_cpus: resources.cores.join(','),
        PercentTicks: resources.cpuPercent / 100,
        cpuset_cgroup: cpusetCgroup,
      },
      ports: task.ports.map(({ Label, Value, To, HostIP }) => ({
        label: Label,
        value: Value,
        to: To,
        host_ip: HostIP,
      })),
    },
    mounts: task.mounts.map(({ taskPath, hostPath, readOnly, propagation }) => ({
      task_path: taskPath,
      host_path: hostPath,
      readonly: readOnly,
      propagation_mode: propagation,
    })),
    devices: task.deviceNodes.map(({ taskPath, hostPath, permissions }) => ({
      task_path: taskPath,
      host_path: hostPath,
      cgroup_permissions: permissions,
    })),
    alloc_dir: task.allocDir,
    stdout_path: output.stdout,
    stderr_path: output.stderr,
    ...(network && {
      network_isolation_spec: {
        mode: 'GROUP',
        path: network.netnsPath,
        labels: network.labels,
        hostsConfig: { hostname: network.hostname, address: network.ip },
      },
    }),
    ...(dns && { dns }),
  };
}
