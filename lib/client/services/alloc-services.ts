import { createHash } from 'node:crypto';
import type { Allocation, TaskState } from '../../structs/allocation.js';
import { groupOf } from '../../structs/group-of.js';
import type { TaskGroup } from '../../structs/job.js';
import type { CheckStatus, ServiceCheck, ServiceReport } from '../../structs/service.js';
import { type Millis, toMillis } from '../../util/clock.js';
import type { AllocShared } from '../alloc-hooks/hook.js';
import { type ClientContext, hookState } from '../context.js';
import { interpolateText } from '../interpolate.js';
import { sleep } from '../timers.js';
import { type CheckState, foldAnswer, initialCheck, passingSinceMs, serviceHealth } from './check-state.js';
import { probe } from './probe.js';
import {
  isUp,
  type OwnedService,
  ownServices,
  type ServiceAddress,
  type ServicePlace,
  serviceAddress,
  serviceId,
  serviceTags,
  serviceValues,
} from './registrations.js';

/** Where a client's memory keeps how the checks were: a restart of the agent must not empty the catalogue. */
const MEMORY = 'checks';

export interface AllocServicesOptions {
  client: ClientContext;
  alloc: () => Allocation;
  states: () => Readonly<Record<string, TaskState>>;
  shared: AllocShared;
  taskAddress: ServicePlace['taskAddress'];
  /** Hears that what is to be reported has changed. */
  onChange: () => void;
  /** Adds a message to the events of the tasks. */
  tell: (message: string) => void;
  /** Ends a task that fails its check, as a failure; '' = every task of the allocation that runs. */
  restart: (task: string, reason: string) => void;
}

/** A check that is being run. */
interface RunningCheck {
  id: string;
  check: ServiceCheck;
  state: CheckState;
  /** Aborted when the check is to be run no more. */
  over: AbortController;
}

/** A service that is up. */
interface RunningService {
  owned: OwnedService;
  /** All that its report and its checks are made from: another one means another service. */
  key: string;
  report: Omit<ServiceReport, 'Health'>;
  checks: RunningCheck[];
}

/** The services of one allocation: which are up, where, and whether they pass their checks. */
export class AllocServices {
  private readonly options: AllocServicesOptions;
  private readonly running = new Map<string, RunningService>();
  private readonly refused = new Set<string>();
  private stopped = false;

  constructor(options: AllocServicesOptions) {
    this.options = options;
  }

  /** True when the job has services here: only then anything needs to be said of them. */
  get any(): boolean {
    const group = this.group();
    return group !== null && ownServices(group).length > 0;
  }

  /** What to tell the servers. */
  reports(): ServiceReport[] {
    return [...this.running.values()].map(({ report, checks }) => ({
      ...report,
      Health: serviceHealth(checks.map(({ state }) => state)),
    }));
  }

  /** The newest answers, by the id of the check. */
  checks(): Record<string, CheckStatus> {
    const rows = [...this.running.values()].flatMap(({ owned, report, checks }) =>
      checks.map(
        ({ id, check, state }): CheckStatus => ({
          ID: id,
          Check: check.Name,
          Group: this.options.alloc().Name,
          Task: owned.task?.Name ?? '',
          Service: report.ServiceName,
          Mode: check.OnUpdate === 'ignore' ? 'readiness' : 'healthiness',
          Status: state.status,
          StatusCode: state.code,
          Output: state.output,
          Timestamp: Math.floor(state.atMs / 1_000),
        }),
      ),
    );
    return Object.fromEntries(rows.map((row) => [row.ID, row]));
  }

  /** Since when every service is up and passes what a deployment minds; null while one does not. */
  healthySinceMs(): Millis | null {
    const group = this.group();
    if (!group || this.running.size < ownServices(group).length) return null;
    const minded = [...this.running.values()].flatMap(({ checks }) =>
      checks.filter(({ check }) => check.OnUpdate !== 'ignore').map(({ state }) => state),
    );
    return passingSinceMs(minded);
  }

  /** Looks at the tasks again: what has come up is listed and checked, what is down is taken out. */
  refresh(): void {
    if (this.stopped) return;
    const wanted = this.wanted();
    let changed = false;
    for (const [id, service] of this.running) {
      if (wanted.get(id)?.key === service.key) continue;
      this.drop(id, service);
      changed = true;
    }
    for (const [id, service] of wanted) {
      if (this.running.has(id)) continue;
      this.running.set(id, service);
      for (const one of service.checks) this.watch(service, one);
      changed = true;
    }
    if (changed) this.options.onChange();
  }

  /** The allocation is to end: it is out of the catalogue before its tasks are told to. */
  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    const any = this.running.size > 0;
    for (const [id, service] of this.running) this.drop(id, service);
    if (any) this.options.onChange();
  }

  /** Lets go: nothing is checked any more. */
  release(): void {
    this.stopped = true;
    for (const { checks } of this.running.values()) for (const { over } of checks) over.abort();
  }

  private drop(id: string, { checks }: RunningService): void {
    for (const { over } of checks) over.abort();
    this.running.delete(id);
  }

  private group(): TaskGroup | null {
    const alloc = this.options.alloc();
    return groupOf(alloc.Job, alloc.TaskGroup) ?? null;
  }

  /** The services that are to be listed now, by id. */
  private wanted(): Map<string, RunningService> {
    const place = this.place();
    const wanted = new Map<string, RunningService>();
    if (!place) return wanted;
    for (const owned of ownServices(place.group)) {
      if (!isUp(owned, place.group, this.options.states())) continue;
      const service = this.describe(owned, place);
      if (service) wanted.set(service.report.ID, service);
    }
    return wanted;
  }

  /** Null when the allocation came without its job. */
  private place(): ServicePlace | null {
    const { client, shared, taskAddress } = this.options;
    const alloc = this.options.alloc();
    const group = this.group();
    if (!group || !alloc.Job) return null;
    return {
      alloc,
      job: alloc.Job,
      group,
      node: client.node(),
      region: client.config().region,
      allocAddress: shared.networkStatus?.Address ?? '',
      allocAddressV6: shared.networkStatus?.AddressIPv6 ?? '',
      taskAddress,
    };
  }

  /** Null when it cannot be reached anywhere, which is told. */
  private describe(owned: OwnedService, place: ServicePlace): RunningService | null {
    const { service } = owned;
    const values = serviceValues(owned, place);
    const name = interpolateText(service.Name, values);
    const id = serviceId(owned, place, name);
    const label = interpolateText(service.PortLabel, values);
    const at = serviceAddress(owned, place, {
      label,
      mode: service.AddressMode,
      address: interpolateText(service.Address, values),
    });
    if (!at.ok) return this.refuse(id, `Service "${name}" is not listed: ${at.error}`);
    const report = {
      ID: id,
      ServiceName: name,
      Tags: serviceTags(owned, place).map((tag) => interpolateText(tag, values)),
      Address: at.value.address,
      Port: at.value.port,
    };
    const key = JSON.stringify([report, service.Checks]);
    const known = this.running.get(id);
    if (known?.key === key) return known;
    const checks = (service.Checks ?? []).map((check, index, all) =>
      this.prepare(placeOf(id, check, all.slice(0, index)), { ...check, Path: interpolateText(check.Path, values) }),
    );
    return { owned, key, report, checks };
  }

  private refuse(id: string, message: string): null {
    if (this.refused.has(id)) return null;
    // Before it is told: whoever hears of it looks at the services again.
    this.refused.add(id);
    this.options.tell(message);
    return null;
  }

  private prepare(serviceId: string, check: ServiceCheck): RunningCheck {
    const id = createHash('sha256').update(`${serviceId}\0${check.Name}\0${check.Type}`).digest('hex').slice(0, 32);
    const known = this.memory()[id];
    const fresh = initialCheck(check.InitialStatus, this.options.client.timers.now());
    return { id, check, state: known ? { ...fresh, ...known } : fresh, over: new AbortController() };
  }

  private memory(): Record<string, Pick<CheckState, 'status' | 'sinceMs'>> {
    return (hookState(this.options.client, this.options.alloc().ID, MEMORY).get() ?? {}) as ReturnType<
      AllocServices['memory']
    >;
  }

  private remember(id: string, { status, sinceMs }: CheckState): void {
    const state = hookState(this.options.client, this.options.alloc().ID, MEMORY);
    state.put({ ...this.memory(), [id]: { status, sinceMs } });
  }

  /** Asks at once and then again and again, until the service is down. */
  private watch(service: RunningService, running: RunningCheck): void {
    const { signal } = running.over;
    const { timers } = this.options.client;
    const intervalMs = toMillis(running.check.Interval);
    const loop = async (): Promise<void> => {
      do {
        const target = this.target(service, running.check);
        const answer = await probe(running.check, target, signal);
        if (!signal.aborted) this.take(service, running, answer);
      } while (await sleep(timers, intervalMs, signal));
    };
    loop().catch((error: unknown) => {
      this.options.client.log.error('check failed unexpectedly', { check: running.check.Name, error: String(error) });
    });
  }

  private target({ owned, report }: RunningService, check: ServiceCheck): ServiceAddress {
    if (check.PortLabel === '' && check.AddressMode === '') return { address: report.Address, port: report.Port };
    const place = this.place();
    const asked = {
      label: check.PortLabel === '' ? owned.service.PortLabel : check.PortLabel,
      mode: check.AddressMode === '' ? owned.service.AddressMode : check.AddressMode,
      address: '',
    };
    const at = place && serviceAddress(owned, place, asked);
    return at?.ok ? at.value : { address: report.Address, port: report.Port };
  }

  private take(service: RunningService, running: RunningCheck, answer: Parameters<typeof foldAnswer>[1]): void {
    const { client, onChange } = this.options;
    const nowMs = client.timers.now();
    const restart = running.check.CheckRestart ?? service.owned.service.CheckRestart;
    const task = service.owned.task?.Name || running.check.TaskName || service.owned.service.TaskName;
    const graceUntilMs = startedAtMs(this.options.states(), task) + toMillis(restart?.Grace ?? 0);
    const before = running.state.status;
    running.state = foldAnswer(running.state, answer, { nowMs, graceUntilMs });
    if (running.state.status !== before) {
      this.remember(running.id, running.state);
      onChange();
    }
    const limit = restart?.Limit ?? 0;
    if (limit === 0 || running.state.failures < limit) return;
    running.state = { ...running.state, failures: 0 };
    this.options.restart(task, `healthcheck: check ${JSON.stringify(running.check.Name)} unhealthy`);
  }
}

/** When a task was started last; '' = the last of all. */
function startedAtMs(states: Readonly<Record<string, TaskState>>, task: string): Millis {
  const chosen = task === '' ? Object.values(states) : [states[task]];
  return Math.max(0, ...chosen.map((state) => Date.parse(state?.StartedAt ?? '') || 0));
}

/** Checks of one name are told apart by how many are before them. */
function placeOf(serviceId: string, { Name, Type }: ServiceCheck, before: readonly ServiceCheck[]): string {
  const same = before.filter((one) => one.Name === Name && one.Type === Type).length;
  return same === 0 ? serviceId : `${serviceId}\0${same}`;
}
