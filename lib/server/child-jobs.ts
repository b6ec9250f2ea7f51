import type { StateSnapshot } from '../state/store.js';
import type { Job } from '../structs/job.js';
import { type Millis, toNanos } from '../util/clock.js';

// Jobs that are made of another one: launched by the clock, or dispatched. Their ids are Nomad's, which tools parse.

export const PERIODIC_SUFFIX = '/periodic-';
export const DISPATCH_SUFFIX = '/dispatch-';

/** What a child has of its own, whatever its parent's state. */
function child(parent: Job, id: string, nowMs: Millis): Job {
  return {
    ...parent,
    ParentID: parent.ID,
    ID: id,
    Name: id,
    Stop: false,
    Status: 'pending',
    StatusDescription: '',
    Stable: false,
    Version: 0,
    VersionTag: null,
    SubmitTime: toNanos(nowMs),
    CreateIndex: 0,
    ModifyIndex: 0,
    JobModifyIndex: 0,
  };
}

/** The job of one launch: `<parent>/periodic-<unix seconds>`. A second launch of the same second gets the next free one. */
export function launchedJob(parent: Job, launchMs: Millis, nowMs: Millis, state: StateSnapshot): Job {
  let second = Math.floor(launchMs / 1_000);
  const idOf = (): string => `${parent.ID}${PERIODIC_SUFFIX}${second}`;
  while (state.jobById(parent.Namespace, idOf())) second++;
  return { ...child(parent, idOf(), nowMs), Periodic: null };
}

/** What a dispatch adds to its parent. */
export interface DispatchSeed {
  payload: string | null;
  meta: Record<string, string>;
  token: string;
  idPrefix: string;
  priority: number;
  /** Eight hexadecimal digits that make the id unique. */
  unique: string;
}

/** A dispatched job: `<parent>/dispatch-[<prefix>-]<unix seconds>-<8 hexadecimal digits>`. */
export function dispatchedJob(parent: Job, seed: DispatchSeed, nowMs: Millis): Job {
  const prefix = seed.idPrefix === '' ? '' : `${seed.idPrefix}-`;
  const id = `${parent.ID}${DISPATCH_SUFFIX}${prefix}${Math.floor(nowMs / 1_000)}-${seed.unique}`;
  const meta = { ...parent.Meta, ...seed.meta };
  return {
    ...child(parent, id, nowMs),
    Dispatched: true,
    DispatchIdempotencyToken: seed.token,
    Payload: seed.payload,
    Meta: Object.keys(meta).length > 0 ? meta : null,
    Priority: seed.priority || parent.Priority,
  };
}

/** Whether a launch of the parent is still pending or running. */
export function hasLiveChild(parent: Job, state: StateSnapshot): boolean {
  return state.jobChildren(parent.Namespace, parent.ID).some(({ Status }) => Status !== 'dead');
}
