import type { TaskRecord } from '../storage/client-db.js';
import type { TaskState } from '../structs/allocation.js';
import { goesOn, TASK_EVENTS_MAX, type TimelessEvent } from './task-events.js';
import { type Timers, toRfc3339, ZERO_TIME } from './timers.js';

/** What is known of a task and what has happened to it: each change is one record for the client's memory. */
export class TaskStory {
  private current: TaskRecord;
  private readonly timers: Timers;
  private readonly onChange: (record: TaskRecord) => void;
  /** Told with the next change, so that what belongs together is written together. */
  private untold: TimelessEvent[] = [];

  constructor(record: TaskRecord | null, timers: Timers, onChange: (record: TaskRecord) => void) {
    this.timers = timers;
    this.onChange = onChange;
    this.current = record ?? {
      taskId: '',
      handle: null,
      state: emptyState(),
      restarts: { count: 0, intervalStartMs: timers.now() },
    };
  }

  get record(): TaskRecord {
    return this.current;
  }

  get state(): TaskState {
    return this.current.state;
  }

  get wasStarted(): boolean {
    return this.state.StartedAt !== ZERO_TIME;
  }

  /** The present moment as the API writes it. */
  now(): string {
    return toRfc3339(this.timers.now());
  }

  /** Keeps an event to be told with the next change. */
  note(event: TimelessEvent): void {
    this.untold.push(event);
  }

  /** Changes the record, adds the events, and hands the whole to `onChange` before it returns. */
  change(patch: Partial<Omit<TaskRecord, 'state'>> & { state?: Partial<TaskState> }, ...events: TimelessEvent[]): void {
    const now = this.timers.now();
    const told = [...this.untold, ...events].map((event) => event(now));
    this.untold = [];
    const Events = [...this.state.Events];
    for (const event of told) {
      const last = Events.at(-1);
      // What goes on takes the place of how far it was: a long download leaves room for the rest of the story.
      if (last && goesOn(last, event)) Events.pop();
      Events.push(event);
    }
    Events.splice(0, Events.length - TASK_EVENTS_MAX);
    this.current = { ...this.current, ...patch, state: { ...this.state, ...patch.state, Events } };
    this.onChange(this.current);
  }
}

/** The record of a task that was over and is to run once more; what happened to it before is not forgotten. */
export function restartedRecord(state: TaskState, timers: Timers): TaskRecord {
  const nowMs = timers.now();
  const again = { State: 'pending', Failed: false, FinishedAt: ZERO_TIME, LastRestart: toRfc3339(nowMs) } as const;
  return {
    taskId: '',
    handle: null,
    state: { ...state, ...again, Restarts: state.Restarts + 1 },
    restarts: { count: 0, intervalStartMs: nowMs },
  };
}

function emptyState(): TaskState {
  return {
    State: 'pending',
    Failed: false,
    Restarts: 0,
    LastRestart: ZERO_TIME,
    StartedAt: ZERO_TIME,
    FinishedAt: ZERO_TIME,
    Events: [],
    TaskHandle: null,
  };
}
