import type { TaskAddress } from '../../plugin/sdk/driver.js';
import type { Allocation, TaskState } from '../../structs/allocation.js';
import type { Job, Task, TaskGroup } from '../../structs/job.js';
import type { Node } from '../../structs/node.js';
import type { Service } from '../../structs/service.js';
import { err, ok, type Result } from '../../util/result.js';
import type { Interpolation } from '../interpolate.js';
import { taskRole } from '../lifecycle.js';
import { allocatedPorts, buildTaskEnv } from '../task-env.js';

// Which services of an allocation are up, under which names and where they are to be reached. Pure.

/** A service of a group, or of one of its tasks. */
export interface OwnedService {
  service: Service;
  /** Null: the group's. */
  task: Task | null;
}

/** The services of a group, each with its owner. Whatever their provider, the mesh's own catalogue is where they are kept. */
export function ownServices(group: TaskGroup): OwnedService[] {
  return [
    ...(group.Services ?? []).map((service) => ({ service, task: null })),
    ...group.Tasks.flatMap((task) => (task.Services ?? []).map((service) => ({ service, task }))),
  ];
}

/** Whether what the service stands for runs: its task, or all main tasks of the group. */
export function isUp(
  { service, task }: OwnedService,
  group: TaskGroup,
  states: Readonly<Record<string, TaskState>>,
): boolean {
  const runs = ({ Name }: Pick<Task, 'Name'>): boolean => states[Name]?.State === 'running';
  if (task) return runs(task);
  if (service.TaskName !== '') return runs({ Name: service.TaskName });
  return group.Tasks.filter((one) => taskRole(one) === 'main').every(runs);
}

/** Where the tasks of the allocation are. */
export interface ServicePlace {
  alloc: Allocation;
  job: Job;
  group: TaskGroup;
  node: Node;
  region: string;
  /** Its own address in a network namespace; '' when it shares the host's. */
  allocAddress: string;
  allocAddressV6: string;
  /** What the driver of a task gave it beside all this. */
  taskAddress: (task: string) => TaskAddress | null;
}

/** What stands for `${…}` in a service's texts. */
export function serviceValues(owned: OwnedService, place: ServicePlace): Interpolation {
  const { alloc, job, group, node, region } = place;
  const task = owned.task ?? group.Tasks.find(({ Name }) => Name === owned.service.TaskName);
  const paths = { allocDir: '', taskDir: '', secretsDir: '' };
  return buildTaskEnv({
    alloc,
    job,
    group,
    task: task ?? nobody(group),
    node,
    region,
    paths,
    network: null,
    cgroupParent: '',
    secrets: {},
    hostEnv: {},
  });
}

/** The group's own services see no task: what only a task has is not theirs. */
function nobody(group: TaskGroup): Task {
  return { ...(group.Tasks[0] as Task), Name: '', Env: null, Meta: null };
}

/** `_nomad-task-ALLOC-OWNER-SERVICE-PORT`, as Nomad names them. */
export function serviceId({ service, task }: OwnedService, { alloc, group }: ServicePlace, name: string): string {
  const owner = task ? task.Name : `group-${group.Name}`;
  return `_nomad-task-${alloc.ID}-${owner}-${name}-${service.PortLabel}`;
}

/** The tags of the moment: a canary has its own, when there are any. */
export function serviceTags({ service }: OwnedService, { alloc }: ServicePlace): string[] {
  const isCanary = alloc.DeploymentStatus?.Canary === true;
  return (isCanary ? service.CanaryTags : null) ?? service.Tags ?? [];
}

export interface ServiceAddress {
  address: string;
  port: number;
}

/** Where a port of the service is to be reached from other machines, by its address_mode. */
export function serviceAddress(
  owned: OwnedService,
  place: ServicePlace,
  asked: { label: string; mode: string; address: string },
): Result<ServiceAddress, string> {
  const { label, mode, address } = asked;
  const task = owned.task?.Name ?? owned.service.TaskName;
  const ports = allocatedPorts(place.alloc, task);
  const port = ports.find(({ Label }) => Label === label);
  const literal = /^\d+$/.test(label) ? Number(label) : 0;
  if (label !== '' && !port && literal === 0) return err(`there is no port "${label}"`);
  const hostIp = port?.HostIP || nodeAddress(place.node);
  const host = { address: address || hostIp, port: port?.Value ?? literal };
  const inside = port ? port.To || port.Value : literal;
  const given = place.taskAddress(task);
  switch (mode) {
    case '':
    case 'auto':
      return ok(given?.advertise && address === '' ? { address: given.ip, port: inside } : host);
    case 'driver':
      if (!given) return err('address_mode = "driver" needs a driver that gives the task an address of its own');
      return ok({ address: given.ip, port: inside });
    case 'host':
      return ok(host);
    case 'alloc':
    case 'alloc_ipv6': {
      const own = mode === 'alloc' ? place.allocAddress : place.allocAddressV6;
      if (own === '')
        return err(`address_mode = "${mode}" needs a network of its own: mode = "bridge" or a CNI network`);
      return ok({ address: own, port: inside });
    }
    default:
      return err(`address_mode = "${mode}" is not known`);
  }
}

/** The address under which a node's ports are reached. */
function nodeAddress(node: Node): string {
  return node.Attributes['unique.network.ip-address'] ?? '';
}
