import { err, ok, type Result } from '../result.js';
import { type CharSet, includes } from './char-set.js';
import { type Assertion, type Node, parsePattern } from './syntax.js';

/** What a thread of the machine does; a `split` prefers its first way. */
type Instruction =
  | { readonly kind: 'char'; readonly set: CharSet }
  | { readonly kind: 'assert'; readonly what: Assertion }
  | { readonly kind: 'save'; readonly slot: number }
  | { kind: 'split'; first: number; second: number }
  | { kind: 'jump'; to: number }
  | { readonly kind: 'match' };

/** A compiled pattern. */
export interface Regex {
  readonly program: readonly Instruction[];
  readonly names: readonly (string | null)[];
}

/** As in RE2, the program that a pattern comes to must not be too long: `(a{1000}){1000}` is refused. */
const PROGRAM_MAX = 10_000;

class TooLarge extends Error {}

/** Compiles a pattern of Go's regexp package. No pattern makes a search take more than length · size steps. */
export function compileRegex(pattern: string): Result<Regex, string> {
  const syntax = parsePattern(pattern);
  if (!syntax.ok) return syntax;
  const program: Instruction[] = [];
  try {
    emitAll(program, syntax.value.root);
  } catch (cause) {
    if (cause instanceof TooLarge)
      return err(`error parsing regexp: expression too large: \`${pattern.slice(0, 100)}\``);
    throw cause;
  }
  return ok({ program, names: syntax.value.names });
}

function emitAll(program: Instruction[], root: Node): void {
  emit(program, { kind: 'save', slot: 0 });
  emitNode(program, root);
  emit(program, { kind: 'save', slot: 1 });
  emit(program, { kind: 'match' });
}

function emit<I extends Instruction>(program: Instruction[], instruction: I): I {
  if (program.length >= PROGRAM_MAX) throw new TooLarge();
  program.push(instruction);
  return instruction;
}

function emitNode(program: Instruction[], node: Node): void {
  switch (node.kind) {
    case 'empty':
      return;
    case 'char':
    case 'assert':
      emit(program, node);
      return;
    case 'sequence':
      for (const item of node.items) emitNode(program, item);
      return;
    case 'choice':
      emitChoice(program, node.items);
      return;
    case 'group':
      emit(program, { kind: 'save', slot: node.index * 2 });
      emitNode(program, node.inner);
      emit(program, { kind: 'save', slot: node.index * 2 + 1 });
      return;
    case 'repeat':
      emitRepeat(program, node);
  }
}

function emitChoice(program: Instruction[], items: readonly Node[]): void {
  const jumps: { to: number }[] = [];
  for (const [i, item] of items.entries()) {
    if (i === items.length - 1) {
      emitNode(program, item);
      break;
    }
    const split = emit(program, { kind: 'split' as const, first: program.length + 1, second: 0 });
    emitNode(program, item);
    jumps.push(emit(program, { kind: 'jump' as const, to: 0 }));
    split.second = program.length;
  }
  for (const jump of jumps) jump.to = program.length;
}

function emitRepeat(program: Instruction[], { inner, min, max, greedy }: Node & { kind: 'repeat' }): void {
  for (let i = 0; i < min; i++) emitNode(program, inner);
  const branch = (): Instruction & { kind: 'split' } => emit(program, { kind: 'split' as const, first: 0, second: 0 });
  const lead = (split: Instruction & { kind: 'split' }, into: number, past: number): void => {
    split.first = greedy ? into : past;
    split.second = greedy ? past : into;
  };
  if (max === null) {
    const start = program.length;
    const split = branch();
    emitNode(program, inner);
    emit(program, { kind: 'jump', to: start });
    lead(split, start + 1, program.length);
    return;
  }
  const optional: { split: Instruction & { kind: 'split' }; into: number }[] = [];
  for (let i = min; i < max; i++) {
    optional.push({ split: branch(), into: program.length });
    emitNode(program, inner);
  }
  for (const { split, into } of optional) lead(split, into, program.length);
}

/** Where a match and its groups lie: start and end of each in UTF-16 units, −1 for a group that took no part. */
export type Match = readonly number[];

interface Thread {
  readonly at: number;
  readonly slots: readonly number[];
}

/**
 * The leftmost match from an index on, and of those the one that Perl would find. All ways through the pattern are
 * followed side by side, each place of the program once a character, so there is nothing to go back to.
 */
export function findMatch({ program, names }: Regex, text: string, from: number): Match | null {
  const empty = Array<number>((names.length + 1) * 2).fill(-1);
  let found: Match | null = null;
  let threads: Thread[] = [];
  const marks = new Uint32Array(program.length);
  let generation = 0;
  for (let index = from; ; ) {
    const code = text.codePointAt(index);
    generation++;
    const current: Thread[] = [];
    const add = (start: Thread): void => {
      const stack = [start];
      for (let thread = stack.pop(); thread; thread = stack.pop()) {
        const { at, slots } = thread;
        if (marks[at] === generation) continue;
        marks[at] = generation;
        const instruction = program[at] as Instruction;
        if (instruction.kind === 'jump') stack.push({ at: instruction.to, slots });
        else if (instruction.kind === 'split')
          stack.push({ at: instruction.second, slots }, { at: instruction.first, slots });
        else if (instruction.kind === 'save') stack.push({ at: at + 1, slots: slots.with(instruction.slot, index) });
        else if (instruction.kind === 'assert') {
          if (holds(instruction.what, text, index)) stack.push({ at: at + 1, slots });
        } else current.push(thread);
      }
    };
    for (const thread of threads) add(thread);
    if (!found) add({ at: 0, slots: empty });
    if (current.length === 0 && found) return found;
    threads = [];
    for (const { at, slots } of current) {
      const instruction = program[at] as Instruction;
      if (instruction.kind === 'match') {
        found = slots;
        break;
      }
      if (instruction.kind === 'char' && code !== undefined && includes(instruction.set, code))
        threads.push({ at: at + 1, slots });
    }
    if (code === undefined) return found;
    index += code > 0xffff ? 2 : 1;
  }
}

const isWord = (text: string, index: number): boolean => index >= 0 && /\w/.test(text.charAt(index));

function holds(what: Assertion, text: string, index: number): boolean {
  switch (what) {
    case 'text-start':
      return index === 0;
    case 'text-end':
      return index === text.length;
    case 'line-start':
      return index === 0 || text.charAt(index - 1) === '\n';
    case 'line-end':
      return index === text.length || text.charAt(index) === '\n';
    case 'word':
      return isWord(text, index - 1) !== isWord(text, index);
    case 'not-word':
      return isWord(text, index - 1) === isWord(text, index);
  }
}

/** Every match is replaced by the template, in which `$1`, `${1}` and `${name}` stand for groups and `$$` for `$`. */
export function replaceMatches(regex: Regex, text: string, template: string): string {
  let result = '';
  let copied = 0;
  for (let at = 0; at <= text.length; ) {
    const match = findMatch(regex, text, at);
    if (!match) break;
    const [start = 0, end = 0] = match;
    result += text.slice(copied, start);
    // An empty match right behind the last one is none.
    if (end > copied || start === 0) result += expand(regex, text, match, template);
    copied = end;
    at = Math.max(end, at + ((text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1));
  }
  return result + text.slice(copied);
}

function expand({ names }: Regex, text: string, match: Match, template: string): string {
  return template.replace(
    /\$(?:\$|([\p{L}\p{Nd}_]+)|\{([\p{L}\p{Nd}_]+)\})/gu,
    (whole, plain?: string, braced?: string) => {
      if (whole === '$$') return '$';
      const name = plain ?? braced ?? '';
      const group = /^[0-9]+$/.test(name) ? Number(name) : names.indexOf(name) + 1 || Number.NaN;
      const [start = -1, end = -1] = [match[group * 2], match[group * 2 + 1]];
      return start < 0 ? '' : text.slice(start, end);
    },
  );
}
