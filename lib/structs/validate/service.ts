import { formatDuration } from '../../util/duration.js';
import type { Task, TaskGroup, WorkloadIdentity } from '../job.js';
import type { Service, ServiceCheck } from '../service.js';
import { findRepeated, type Report } from './issue.js';
import { warnOfIdentity } from './task-parts.js';

const ADDRESS_MODES = ['', 'auto', 'host', 'driver', 'alloc', 'alloc_ipv6'];
const ON_UPDATE = ['require_healthy', 'ignore', 'ignore_warnings'];
const CHECK_ADDRESS_MODES = ['', 'host', 'alloc', 'alloc_ipv6'];
const INITIAL_STATUS = ['', 'passing', 'warning', 'critical'];
const TYPES = ['http', 'tcp'];
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'];
const CHECK_TIME_MIN_NS = 1e9;
/** A name as DNS takes it. */
const NAME = /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;

/** Whose services they are: a task's, or the group's own. */
interface Owner {
  group: TaskGroup;
  task: Task | null;
  ports: ReadonlySet<string>;
}

/** Services of a group or of one of its tasks. */
export function validateServices(group: TaskGroup, task: Task | null, report: Report): void {
  const own = (task ?? group).Services ?? [];
  for (const { name, again } of findRepeated(own.map((service) => `${service.Name} ${service.PortLabel}`))) {
    report.error(`Services[${again}].Name`, `Service ${JSON.stringify(name.split(' ')[0])} is there twice on one port`);
  }
  const owner: Owner = { group, task, ports: portLabels(group) };
  for (const [i, service] of own.entries()) {
    const prefix = `Service ${JSON.stringify(service.Name)}: `;
    validateService(service, owner, report.at('Services').at(i, prefix));
  }
}

function portLabels(group: TaskGroup): Set<string> {
  const networks = [...(group.Networks ?? []), ...group.Tasks.flatMap((task) => task.Resources.Networks ?? [])];
  const ports = networks.flatMap(({ DynamicPorts, ReservedPorts }) => [
    ...(DynamicPorts ?? []),
    ...(ReservedPorts ?? []),
  ]);
  return new Set(ports.map(({ Label }) => Label));
}

function validateService(service: Service, owner: Owner, report: Report): void {
  const { Name, Provider, PortLabel, AddressMode, OnUpdate } = service;
  if (Provider !== 'nomad' && Provider !== 'consul') {
    report.error('Provider', `unknown provider ${JSON.stringify(Provider)}; it must be "nomad"`);
  }
  // References are filled in later: the rest must be a name.
  if (!NAME.test(Name.replace(/\$\{[^}]*\}/g, 'x'))) {
    report.error('Name', 'the name must be 1 to 63 letters, digits and -, neither beginning nor ending with -');
  }
  if (!ADDRESS_MODES.includes(AddressMode)) {
    report.error('AddressMode', `unknown address_mode ${JSON.stringify(AddressMode)}`);
  } else if (owner.task ? AddressMode.startsWith('alloc') : AddressMode === 'driver') {
    const where = owner.task ? 'the group' : 'a task';
    report.error('AddressMode', `address_mode ${JSON.stringify(AddressMode)} is for services of ${where} only`);
  }
  if (!ON_UPDATE.includes(OnUpdate)) report.error('OnUpdate', `unknown on_update ${JSON.stringify(OnUpdate)}`);
  validatePort(PortLabel, service, owner, report);
  validateTaskName(service, owner, report);
  if (service.EnableTagOverride) {
    report.warning(
      'EnableTagOverride',
      `Service ${JSON.stringify(Name)}: enable_tag_override is Consul's and has no effect`,
    );
  }
  if (service.Address !== '' && !['', 'auto'].includes(AddressMode)) {
    report.error('AddressMode', `an address goes with address_mode "auto" only, not ${JSON.stringify(AddressMode)}`);
  }
  if (service.Identity) {
    const identity = service.Identity as WorkloadIdentity;
    if (!identity.Audience) report.error('Identity', 'its identity needs an audience (aud)');
    if (identity.Name === '') report.error('Identity', 'its identity needs a name');
    warnOfIdentity(identity, `Service ${JSON.stringify(Name)}`, report.at('Identity'));
  }
  const checks = service.Checks ?? [];
  for (const { name, again } of owner.task ? findRepeated(checks.map((check) => check.Name)) : []) {
    report.error(`Checks[${again}].Name`, `two checks are named ${JSON.stringify(name)}`);
  }
  for (const [i, check] of checks.entries()) {
    validateCheck(check, service, owner, report.at('Checks').at(i, `check ${JSON.stringify(check.Name)}: `));
  }
}

/** A task's service is its own; one of the group may name any of the group's tasks. */
function validateTaskName({ Name, TaskName }: Service, { group, task }: Owner, report: Report): void {
  if (TaskName === '') return;
  if (task && task.Name !== TaskName) {
    report.error(
      'TaskName',
      `belongs to task ${JSON.stringify(task.Name)} and cannot name ${JSON.stringify(TaskName)}`,
    );
  }
  if (task || group.Tasks.some((one) => one.Name === TaskName)) return;
  report.warning(
    'TaskName',
    `Service ${JSON.stringify(Name)} names a task that the group does not have: ${JSON.stringify(TaskName)}`,
  );
}

/**
 * A reference or a label of the group's network, in a service of the group also a number; in a task a number is a port inside it.
 * A group is not refused for another, as in Nomad.
 */
function validatePort(label: string, service: Service, { task, ports }: Owner, report: Report): void {
  if (label === '' || label.includes('${') || ports.has(label)) return;
  if (/^\d+$/.test(label)) {
    if (!task || service.AddressMode === 'driver') return;
    const message = `port ${label} is a number, which needs address_mode = "driver": declare it in the group's network and write its label`;
    report.error('PortLabel', message);
    return;
  }
  const known = ports.size > 0 ? `; its ports are ${[...ports].join(', ')}` : '; it has none';
  const message = `names a port that the group's network does not have: ${JSON.stringify(label)}${known}`;
  if (task) report.error('PortLabel', message);
  else report.warning('PortLabel', `Service ${JSON.stringify(service.Name)}: ${message}`);
}

function validateCheck(check: ServiceCheck, service: Service, owner: Owner, report: Report): void {
  const { Path, Method, Interval, Timeout, PortLabel, OnUpdate, AddressMode, InitialStatus } = check;
  const Type = check.Type.toLowerCase();
  if (Type === 'script' || Type === 'grpc') {
    report.error('Type', `checks of type ${JSON.stringify(Type)} are Consul's; use "http" or "tcp"`);
  } else if (!TYPES.includes(Type)) {
    report.error('Type', `unknown type ${JSON.stringify(Type)}; it must be "http" or "tcp"`);
  }
  if (Type === 'http' && Path === '') report.error('Path', 'an http check needs a path');
  if (Type === 'http' && /^[a-z]+:\/\//i.test(Path)) report.error('Path', 'the path must be relative');
  if (Type === 'http' && Method !== '' && !METHODS.includes(Method.toUpperCase())) {
    report.error('Method', `unknown method ${JSON.stringify(Method)}`);
  }
  for (const [key, name, value] of [
    ['Interval', 'interval', Interval],
    ['Timeout', 'timeout', Timeout],
  ] as const) {
    if (value < CHECK_TIME_MIN_NS) report.error(key, `${name} must be at least 1s, not ${formatDuration(value)}`);
  }
  if (Type !== 'script' && PortLabel === '' && service.PortLabel === '')
    report.error('PortLabel', 'neither it nor its service has a port');
  validatePort(PortLabel, service, owner, report);
  if (!owner.task && check.TaskName !== '' && !owner.group.Tasks.some((one) => one.Name === check.TaskName)) {
    report.error('TaskName', `names a task that the group does not have: ${JSON.stringify(check.TaskName)}`);
  }
  if (OnUpdate === 'ignore_warnings') {
    report.error('OnUpdate', 'on_update "ignore_warnings" is Consul\'s');
  } else if (OnUpdate !== '' && !ON_UPDATE.includes(OnUpdate)) {
    report.error('OnUpdate', `unknown on_update ${JSON.stringify(OnUpdate)}`);
  }
  if (!CHECK_ADDRESS_MODES.includes(AddressMode)) {
    report.error('AddressMode', `a check has no address_mode ${JSON.stringify(AddressMode)}`);
  }
  if (!INITIAL_STATUS.includes(InitialStatus)) {
    report.error('InitialStatus', `unknown initial_status ${JSON.stringify(InitialStatus)}`);
  }
  refuseConsulOnly(check, report);
  if (check.CheckRestart) {
    const { Limit, Grace } = check.CheckRestart;
    if (Limit < 0) report.error('CheckRestart.Limit', `check_restart: limit must not be negative (${Limit})`);
    if (OnUpdate === 'ignore') report.error('OnUpdate', 'on_update "ignore" does not go with check_restart');
    if (check.CheckRestart.IgnoreWarnings) {
      report.error('CheckRestart.IgnoreWarnings', "check_restart: ignore_warnings is Consul's");
    }
    if (Grace < 0) report.error('CheckRestart.Grace', 'check_restart: grace must not be negative');
  }
}

/** Attributes that only Consul's checks have. */
const CONSUL_ONLY: readonly (readonly [keyof ServiceCheck, string])[] = [
  ['SuccessBeforePassing', 'success_before_passing'],
  ['FailuresBeforeCritical', 'failures_before_critical'],
  ['FailuresBeforeWarning', 'failures_before_warning'],
  ['TLSServerName', 'tls_server_name'],
  ['Expose', 'expose'],
];

function refuseConsulOnly(check: ServiceCheck, report: Report): void {
  for (const [key, name] of CONSUL_ONLY) {
    if (check[key]) report.error(key, `${name} is Consul's, and has no meaning for provider = "nomad"`);
  }
}
