import type { Metric, ScaleDirection, ScalingAction, TargetStatus } from '../structs/autoscaling.js';

// What plugins answer is theirs: it is looked at before anything is decided by it.

const DIRECTIONS: readonly ScaleDirection[] = ['down', 'none', 'up'];
/** Of one answer. */
const METRICS_MAX = 100_000;
const SHOWN_MAX = 60;

/** A status that can be gone by. Throws an Error that says what is wrong with it. */
export function checkStatus(value: TargetStatus): TargetStatus {
  const { ready, count, meta } = objectOf(value, 'status');
  if (typeof ready !== 'boolean') throw new Error(`its status says ${shown(ready)} of whether it is ready`);
  if (!isCount(count)) throw new Error(`its status says that there are ${shown(count)}`);
  const texts = objectOf(meta ?? {}, 'meta of its status');
  const wrong = Object.keys(texts).find((key) => typeof texts[key] !== 'string');
  if (wrong !== undefined) throw new Error(`the meta of its status has no text for "${wrong}"`);
  return { ready, count, meta: texts as Record<string, string> };
}

/** Figures that can be counted with, oldest first; what is no number at all is left out. Throws for what are no figures. */
export function checkMetrics(value: Metric[]): Metric[] {
  if (!Array.isArray(value)) throw new Error(`the figures are ${shown(value)}, and no list`);
  if (value.length > METRICS_MAX) throw new Error(`${value.length} figures are too many: at most ${METRICS_MAX}`);
  const numbers = value.filter((one) => Number.isFinite(one?.value) && Number.isFinite(one?.timestampMs));
  if (numbers.length === 0 && value.length > 0) throw new Error(`none of the ${value.length} figures is a number`);
  return numbers.sort((a, b) => a.timestampMs - b.timestampMs);
}

/** A wish that can be fulfilled, within bounds. Throws an Error that says what is wrong with it. */
export function checkAction(value: ScalingAction): ScalingAction {
  const { count, direction, reason = '', error = false, meta = {} } = objectOf(value, 'wish');
  const known = DIRECTIONS.find((one) => one === direction);
  if (!known) throw new Error(`it wishes the direction ${shown(direction)}, which is none of ${DIRECTIONS.join(', ')}`);
  // One that wants nothing need not say how much.
  if (known !== 'none' && !Number.isSafeInteger(count)) throw new Error(`it wishes for a count of ${shown(count)}`);
  if (error === true) throw new Error(String(reason) || 'it says that it failed');
  return {
    count: Number.isSafeInteger(count) ? (count as number) : 0,
    direction: known,
    reason: String(reason),
    error: false,
    meta: objectOf(meta ?? {}, 'meta of its wish'),
  };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function objectOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error(`its ${what.replace(/^its /, '')} is ${shown(value)}`);
  }
  return value as Record<string, unknown>;
}

/** As it is, in a few characters. */
function shown(value: unknown): string {
  const text =
    typeof value === 'string' ? JSON.stringify(value) : typeof value === 'object' ? kindOf(value) : String(value);
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}

const kindOf = (value: object | null): string =>
  value === null ? 'null' : Array.isArray(value) ? 'a list' : 'an object';
