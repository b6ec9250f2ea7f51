import { assert } from '../util/assert.js';

// The life of a task on its node. Pure.
//
//              turn            prepared           started
//   waiting ────────► preparing ───────► starting ───────► running ─────┐ exited
//      │                ▲    │ failed       │ failed          ▲         ▼
//      │                │    └──────────────┴─────────────────┼──► deciding
//      │                │         again                       │      │ │ over
//      │                └──────────── delaying ◄──────────────┼──────┘ │
//      │                                 │ killed      reattached      ▼
//      └── killed ──► dead ◄─────────────┴────────────────────┼────── dead
//                                                          waiting

export type TaskPhase = 'waiting' | 'preparing' | 'starting' | 'running' | 'deciding' | 'delaying' | 'dead';

export type TaskInput =
  /** Its turn in the group's order has come. */
  | 'turn'
  | 'prepared'
  | 'started'
  /** A running task was taken up again after the agent's restart. */
  | 'reattached'
  /** Preparing or starting it did not work. */
  | 'failed'
  | 'exited'
  /** It will be started again, after a delay. */
  | 'delay'
  /** The delay is over. */
  | 'again'
  /** It will not be started again. */
  | 'over'
  /** It is to end, and does not run. */
  | 'killed';

/** Null: this cannot happen. */
const TABLE: Record<TaskPhase, Record<TaskInput, TaskPhase | null>> = {
  waiting: row({ turn: 'preparing', reattached: 'running', killed: 'dead' }),
  preparing: row({ prepared: 'starting', failed: 'deciding' }),
  starting: row({ started: 'running', failed: 'deciding' }),
  running: row({ exited: 'deciding' }),
  deciding: row({ delay: 'delaying', over: 'dead', killed: 'dead' }),
  delaying: row({ again: 'preparing', killed: 'dead' }),
  dead: row({}),
};

/** The phase that follows; throws when the input cannot come in this phase. */
export function nextPhase(phase: TaskPhase, input: TaskInput): TaskPhase {
  const next = TABLE[phase][input];
  assert(next !== null, `task-machine: "${input}" in phase "${phase}"`);
  return next;
}

function row(next: Partial<Record<TaskInput, TaskPhase>>): Record<TaskInput, TaskPhase | null> {
  const nothing = null;
  return {
    turn: nothing,
    prepared: nothing,
    started: nothing,
    reattached: nothing,
    failed: nothing,
    exited: nothing,
    delay: nothing,
    again: nothing,
    over: nothing,
    killed: nothing,
    ...next,
  };
}
