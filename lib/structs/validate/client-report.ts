import type { AllocClientStatus, TaskStateName } from '../allocation.js';
import type { ServiceHealth } from '../service.js';

// What a node says of its allocations comes from another machine, is stored by every server, and read without asking again.

const CLIENT_STATUSES: readonly AllocClientStatus[] = ['pending', 'running', 'complete', 'failed', 'lost', 'unknown'];
const TASK_STATES: readonly TaskStateName[] = ['pending', 'running', 'dead'];
const HEALTHS: readonly ServiceHealth[] = ['passing', 'failing', 'pending'];
const SERVICES_MAX = 1_024;
const TAGS_MAX = 1_024;
const TEXT_MAX = 1_024;
/** Of one allocation: its tasks keep ten events each. */
const REPORT_LENGTH_MAX = 1024 * 1024;

/** What is wrong with the report on one allocation, in words; null when it can be stored. */
export function reportProblem(report: unknown): string | null {
  if (!isObject(report) || typeof report['ID'] !== 'string') return 'a report names no allocation';
  const { ClientStatus, ClientDescription, TaskStates, NetworkStatus, DeploymentStatus, Services } = report;
  if (!isOneOf(ClientStatus, CLIENT_STATUSES)) return `${JSON.stringify(ClientStatus)} is no client status`;
  if (!isNone(ClientDescription) && typeof ClientDescription !== 'string') return 'the description is no text';
  if (JSON.stringify(report).length > REPORT_LENGTH_MAX) return `it is longer than ${REPORT_LENGTH_MAX} characters`;
  if (!isNone(TaskStates) && !(isObject(TaskStates) && Object.values(TaskStates).every(isTaskState)))
    return 'the states of its tasks cannot be read';
  if (!isNone(NetworkStatus) && !isObject(NetworkStatus)) return 'the state of its network cannot be read';
  if (!isNone(DeploymentStatus) && !(isObject(DeploymentStatus) && isVerdict(DeploymentStatus['Healthy'])))
    return 'its health cannot be read';
  if (isNone(Services)) return null;
  if (!Array.isArray(Services) || Services.length > SERVICES_MAX) return `it has more than ${SERVICES_MAX} services`;
  return Services.every(isService) ? null : 'a service of it cannot be read';
}

function isTaskState(state: unknown): boolean {
  if (!isObject(state) || !isOneOf(state['State'], TASK_STATES)) return false;
  const events = state['Events'];
  return isNone(events) || (Array.isArray(events) && events.every(isObject));
}

function isService(service: unknown): boolean {
  if (!isObject(service)) return false;
  const { ID, ServiceName, Tags, Address, Port, Health } = service;
  const isTagged = isNone(Tags) || (Array.isArray(Tags) && Tags.length <= TAGS_MAX && Tags.every(isText));
  const isPort = Number.isSafeInteger(Port) && (Port as number) >= 0 && (Port as number) <= 65_535;
  return [ID, ServiceName].every(isName) && isText(Address) && isTagged && isPort && isOneOf(Health, HEALTHS);
}

const isNone = (value: unknown): boolean => value === null || value === undefined;
const isText = (value: unknown): boolean => typeof value === 'string' && value.length <= TEXT_MAX;
const isName = (value: unknown): boolean => isText(value) && value !== '';
const isVerdict = (value: unknown): boolean => isNone(value) || typeof value === 'boolean';
const isOneOf = (value: unknown, known: readonly string[]): boolean => known.includes(value as string);

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
