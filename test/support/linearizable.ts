// Is there an order of these operations, each at one instant between its begin and its end, in which every answer is
// right? The search is Wing and Gong's (1993) with Lowe's memory of positions already tried (2017).

/** What a client did. Times are of one clock that never goes back; equal times count as concurrent. */
export interface Operation<Input, Output> {
  readonly client: string;
  readonly input: Input;
  readonly beganAt: number;
  /**
   * `done`: it was answered. `failed`: it certainly had no effect. `unknown`: no answer, or one that leaves it open (a
   * time-out, a lost leader): it may have taken effect at any time since it began, may still do so, or never.
   */
  readonly outcome:
    | { readonly kind: 'done'; readonly endedAt: number; readonly output: Output }
    | { readonly kind: 'failed' }
    | { readonly kind: 'unknown' };
}

/** The object as a single copy would behave. States are values: step() makes a new one. */
export interface Model<State, Input, Output> {
  readonly initial: State;
  /** Equal for equal states. */
  key(state: State): string;
  /** The state after an input that was answered so (undefined: nobody knows how); null when that answer is impossible. */
  step(state: State, input: Input, output: Output | undefined): State | null;
}

export type Verdict<Input, Output> =
  | { readonly kind: 'linearizable' }
  /** No order exists. These operations contradict each other, or (by search) the first could not be given a place. */
  | { readonly kind: 'violated'; readonly culprits: readonly Operation<Input, Output>[] }
  /** The search was given up: too many ambiguous operations. It proves nothing. */
  | { readonly kind: 'undecided' };

/** Positions tried before the search is given up. */
const STEPS_MAX = 5_000_000;

interface Event<Input, Output> {
  readonly at: number;
  readonly operation: Operation<Input, Output>;
  /** Position of the operation among all. */
  readonly id: number;
  /** The end of the operation, on its begin; null for one whose outcome is unknown, and on an end. */
  end: Event<Input, Output> | null;
  readonly isBegin: boolean;
  before: Event<Input, Output> | null;
  after: Event<Input, Output> | null;
}

/** Checks the history of one object. Of registers: see register-history.ts. */
export function checkLinearizable<State, Input, Output>(
  model: Model<State, Input, Output>,
  history: readonly Operation<Input, Output>[],
  stepsMax = STEPS_MAX,
): Verdict<Input, Output> {
  const operations = history.filter(({ outcome }) => outcome.kind !== 'failed');
  const head = timeline(operations);
  const placed = new Uint32Array(Math.ceil(operations.length / 32));
  const tried = new Set<string>();
  const stack: { event: Event<Input, Output>; state: State }[] = [];
  let awaited = operations.filter(({ outcome }) => outcome.kind === 'done').length;
  let best: { placed: number; stuck: Operation<Input, Output> } | null = null;
  let state = model.initial;
  let event = head.after;
  for (let steps = 0; awaited > 0; steps++) {
    if (steps > stepsMax) return { kind: 'undecided' };
    if (event?.isBegin) {
      const next = model.step(state, event.operation.input, outputOf(event.operation));
      if (next !== null && isNew(tried, placed, event.id, model.key(next))) {
        stack.push({ event, state });
        state = next;
        flip(placed, event.id);
        if (event.end !== null) awaited--;
        lift(event);
        event = head.after;
      } else {
        event = event.after;
      }
      continue;
    }
    // An operation ended before it found its place, or nothing fits: the last choice was wrong.
    if (event !== null && (best === null || stack.length > best.placed)) {
      best = { placed: stack.length, stuck: event.operation };
    }
    const last = stack.pop();
    if (last === undefined) break;
    state = last.state;
    flip(placed, last.event.id);
    if (last.event.end !== null) awaited++;
    unlift(last.event);
    event = last.event.after;
  }
  return awaited === 0 || best === null ? { kind: 'linearizable' } : { kind: 'violated', culprits: [best.stuck] };
}

/** Begins and ends in the order of time, as a list that events are taken out of and put back into. */
function timeline<Input, Output>(operations: readonly Operation<Input, Output>[]): Event<Input, Output> {
  const events: Event<Input, Output>[] = [];
  operations.forEach((operation, id) => {
    const { outcome, beganAt } = operation;
    const begin: Event<Input, Output> = {
      at: beganAt,
      operation,
      id,
      end: null,
      isBegin: true,
      before: null,
      after: null,
    };
    events.push(begin);
    if (outcome.kind !== 'done') return;
    begin.end = { ...begin, at: outcome.endedAt, isBegin: false };
    events.push(begin.end);
  });
  events.sort((a, b) => a.at - b.at || Number(b.isBegin) - Number(a.isBegin));
  const [first] = operations;
  // The sentinel's operation is never looked at.
  const head = {
    at: Number.NEGATIVE_INFINITY,
    operation: first,
    id: -1,
    end: null,
    isBegin: false,
  } as unknown as Event<Input, Output>;
  head.before = null;
  head.after = null;
  let last = head;
  for (const event of events) {
    last.after = event;
    event.before = last;
    last = event;
  }
  return head;
}

function outputOf<Input, Output>({ outcome }: Operation<Input, Output>): Output | undefined {
  return outcome.kind === 'done' ? outcome.output : undefined;
}

function isNew(tried: Set<string>, placed: Uint32Array, id: number, key: string): boolean {
  flip(placed, id);
  const position = `${placed.join(',')}|${key}`;
  flip(placed, id);
  if (tried.has(position)) return false;
  tried.add(position);
  return true;
}

function flip(placed: Uint32Array, id: number): void {
  const word = id >>> 5;
  placed[word] = (placed[word] as number) ^ (1 << (id & 31));
}

function lift<Input, Output>(event: Event<Input, Output>): void {
  for (const one of event.end === null ? [event] : [event, event.end]) {
    if (one.before !== null) one.before.after = one.after;
    if (one.after !== null) one.after.before = one.before;
  }
}

function unlift<Input, Output>(event: Event<Input, Output>): void {
  for (const one of event.end === null ? [event] : [event.end, event]) {
    if (one.before !== null) one.before.after = one;
    if (one.after !== null) one.after.before = one;
  }
}
