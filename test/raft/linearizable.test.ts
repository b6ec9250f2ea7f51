import t from 'tap';
import { randomInt, seededRandom } from '../../lib/util/random.js';
import type { RegisterInput, RegisterOperation } from '../support/register-history.js';
import { checkRegisters } from '../support/register-history.js';

/**
 * Histories as drawings: a line a client, a column an instant. `w1` … `]` writes 1, `r1` reads it, `s12` swaps 1 for 2
 * with success and `n12` without; the operation lasts from its letter to `]`. `?` in place of `]`: nobody knows; `!`: failed.
 */
function draw(...lines: string[]): RegisterOperation[] {
  return lines.flatMap((line, client) =>
    [...line.matchAll(/([wrsn])(\d*)[ .]*([\]?!])/g)].map((found): RegisterOperation => {
      const [text, verb = '', digits = '', end = ''] = found;
      const key = 'x';
      const [from = '', to = ''] = digits;
      const inputs: Record<string, RegisterInput> = {
        w: { key, type: 'write', value: digits },
        r: { key, type: 'read' },
        s: { key, type: 'swap', from, to },
        n: { key, type: 'swap', from, to },
      };
      const output = { w: '', r: digits, s: 'yes', n: 'no' }[verb] as string;
      const done = { kind: 'done', endedAt: found.index + text.length - 1, output } as const;
      const outcome = end === ']' ? done : ({ kind: end === '?' ? 'unknown' : 'failed' } as const);
      return { client: String(client), input: inputs[verb] as RegisterInput, beganAt: found.index, outcome };
    }),
  );
}

const GOOD: Record<string, string[]> = {
  'nothing at all': [''],
  'one after the other': ['w1.] r1.] w2.] r2.]'],
  'a read during a write sees the old value': ['w1.] w2......]', '      r1.]'],
  'a read during a write sees the new value': ['w1.] w2......]', '      r2.]'],
  'a write that timed out never happened': ['w1.] w2.?', '           r1.] r1.]'],
  'a write that timed out happened at once': ['w1.] w2.?', '           r2.] r2.]'],
  'a write that timed out happened long after': ['w1.] w2.?', '           r1.] r1.] r2.] r2.]'],
  'two writes that timed out happened the other way round': ['w1.?', '     w2.?', '          r2.] r1.]'],
  'a swap that timed out happened': ['w1.] s12.?', '            r2.]'],
  'of two swaps at once one succeeds': ['w1.] s12...]', '     n13...] r2.]'],
  'a write that failed is not seen': ['w1.] w2.!', '          r1.]'],
};

const BAD: Record<string, string[]> = {
  'a stale read after an acknowledged write': ['w1.] w2.]', '           r1.]'],
  'an acknowledged write is lost': ['w1.] w2.] r2.]', '                 r1.]'],
  'a value from the future': ['       w1.]', 'r1.]'],
  'a value that nobody wrote': ['w1.]', '     r7.]'],
  'reads go back': ['w1.] w2..............]', '      r2.] r1.]'],
  'two clients see two orders': ['w1......]', 'w2......]', '          r1.] r2.]'],
  'two leaders, each with its own truth': ['w1.]    r1.]', '     w2.]    r2.] r1.]', '                  r2.]'],
  'a write that timed out is seen, and then is not': ['w1.] w2.?', '          r2.] r1.]'],
  'a write that timed out happens twice': ['w1.?', '    r1.] w2.] r1.]'],
  'a write that failed is seen': ['w1.] w2.!', '          r2.]'],
  'a swap succeeds twice': ['w1.] s12.]', '     s13.]   r2.]'],
  'a swap succeeds from a value that is gone': ['w1.] w2.] s13.]'],
  'a swap fails though nothing hindered it': ['w1.] n12.]'],
  'a read before the begin of a write that timed out': ['     w1.?', 'r1.]'],
};

t.test('histories that a single copy could have answered are accepted', async (t) => {
  for (const [what, lines] of Object.entries(GOOD)) {
    t.equal(checkRegisters(draw(...lines)).kind, 'linearizable', what);
  }
});

t.test('histories that no single copy could have answered are refused, with the place', async (t) => {
  for (const [what, lines] of Object.entries(BAD)) {
    const verdict = checkRegisters(draw(...lines));
    t.equal(verdict.kind, 'violated', what);
    if (verdict.kind === 'violated') t.ok(verdict.culprits.length > 0, what);
  }
});

t.test('keys are independent: each is checked by itself', async (t) => {
  const x = draw('w1.] r1.]');
  const y = draw('w1.] w2.]', '           r1.]').map((one) => ({ ...one, input: { ...one.input, key: 'y' } }));
  t.equal(checkRegisters(x).kind, 'linearizable');
  t.equal(checkRegisters([...x, ...y]).kind, 'violated');
});

/** All orders, tried one by one: slow and plainly right. */
function bruteForce(history: readonly RegisterOperation[]): boolean {
  const search = (left: readonly RegisterOperation[], state: string): boolean => {
    if (left.every(({ outcome }) => outcome.kind === 'unknown')) return true;
    return left.some((one) => {
      const isTooLate = left.some(({ outcome }) => outcome.kind === 'done' && outcome.endedAt < one.beganAt);
      if (isTooLate) return false;
      const rest = left.filter((other) => other !== one);
      if (one.input.type === 'write') return search(rest, one.input.value);
      if (one.input.type === 'swap') {
        const swaps = state === one.input.from;
        if (one.outcome.kind === 'done' && (one.outcome.output === 'yes') !== swaps) return false;
        return search(rest, swaps ? one.input.to : state);
      }
      return (one.outcome.kind !== 'done' || one.outcome.output === state) && search(rest, state);
    });
  };
  return search(
    history.filter(({ outcome }) => outcome.kind !== 'failed'),
    '',
  );
}

t.test('it agrees with trying all orders, on small histories at random', async (t) => {
  const random = seededRandom(5);
  const kinds = { linearizable: 0, violated: 0 };
  for (let round = 0; round < 3000; round++) {
    const history = Array.from({ length: 2 + randomInt(random, 5) }, (_, client): RegisterOperation => {
      // Values that are written once take the short way, others the search.
      const value = String(round % 2 === 0 ? randomInt(random, 3) : client);
      const beganAt = randomInt(random, 12);
      const endedAt = beganAt + 1 + randomInt(random, 5);
      const input: RegisterInput = [
        { key: 'x', type: 'read' } as const,
        { key: 'x', type: 'write', value } as const,
        { key: 'x', type: 'swap', from: ['', '0', '1', '2'][randomInt(random, 4)] as string, to: value } as const,
      ][randomInt(random, round % 4 < 2 ? 2 : 3)] as RegisterInput;
      const output = {
        read: String(randomInt(random, 3)),
        write: '',
        swap: randomInt(random, 2) === 0 ? 'yes' : 'no',
      }[input.type];
      const outcome =
        randomInt(random, 4) === 0 ? ({ kind: 'unknown' } as const) : ({ kind: 'done', endedAt, output } as const);
      return { client: String(client), input, beganAt, outcome };
    });
    const { kind } = checkRegisters(history);
    if ((kind === 'linearizable') !== bruteForce(history)) {
      t.fail(`round ${round}: ${kind}, which is wrong: ${JSON.stringify(history)}`);
      return;
    }
    if (kind !== 'undecided') kinds[kind]++;
  }
  t.ok(kinds.linearizable > 500 && kinds.violated > 500, JSON.stringify(kinds));
});

t.test('many operations of unknown outcome that nobody saw the effect of do not keep it from deciding', async (t) => {
  const history: RegisterOperation[] = [];
  const add = (input: RegisterInput, beganAt: number, outcome: RegisterOperation['outcome']): void => {
    history.push({ client: 'c', input, beganAt, outcome });
  };
  for (let i = 0; i < 300; i++) {
    const at = 10 * i;
    add({ key: 'x', type: 'write', value: `lost-${i}` }, at, { kind: 'unknown' });
    add({ key: 'x', type: 'swap', from: `lost-${i}`, to: `swap-${i}` }, at, { kind: 'unknown' });
    add({ key: 'x', type: 'write', value: `w-${i}` }, at + 1, i % 7 === 0 ? { kind: 'unknown' } : done(at + 2, ''));
    add({ key: 'x', type: 'swap', from: `w-${i}`, to: `s-${i}` }, at + 3, done(at + 5, 'yes'));
    add({ key: 'x', type: 'read' }, at + 4, done(at + 6, `s-${i}`));
  }
  t.equal(checkRegisters(history).kind, 'linearizable');
});

const done = (endedAt: number, output: string): RegisterOperation['outcome'] => ({ kind: 'done', endedAt, output });

/** Operations on a register that is one copy; each takes effect at an instant within its span. */
function honest(seed: number, count: number): RegisterOperation[] {
  const random = seededRandom(seed);
  const instants: { at: number; beganAt: number; endedAt: number }[] = [];
  for (let i = 0; i < count; i++) {
    const at = i + random.next() * 0.5;
    instants.push({ at, beganAt: at - random.next() * 6, endedAt: at + random.next() * 6 });
  }
  let value = '';
  return instants.map(({ beganAt, endedAt }, i): RegisterOperation => {
    const isRead = randomInt(random, 2) === 0;
    if (!isRead) value = String(i);
    const input: RegisterInput = isRead ? { key: 'x', type: 'read' } : { key: 'x', type: 'write', value };
    const outcome =
      !isRead && randomInt(random, 20) === 0
        ? ({ kind: 'unknown' } as const)
        : ({ kind: 'done', endedAt, output: isRead ? value : '' } as const);
    return { client: 'c', input, beganAt, outcome };
  });
}

t.test('a thousand operations are decided in a moment; one wrong answer among them is found', async (t) => {
  for (let seed = 1; seed <= 3; seed++) {
    const history = honest(seed, 1000);
    t.equal(checkRegisters(history).kind, 'linearizable', `seed ${seed}`);
    const at = history.findLastIndex(({ input }) => input.type === 'read');
    const wrong = history[at] as RegisterOperation;
    history[at] = { ...wrong, outcome: { kind: 'done', endedAt: wrong.beganAt + 1, output: '3' } };
    t.equal(checkRegisters(history).kind, 'violated', `seed ${seed}, a read of long ago`);
  }
});
