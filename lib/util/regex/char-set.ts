/** A set of code points. */
export interface CharSet {
  readonly has: (code: number) => boolean;
  readonly ignoreCase?: boolean;
  readonly negative?: boolean;
}

/** The letters that differ from one only in case; itself among them. */
function cases(code: number): number[] {
  const letter = String.fromCodePoint(code);
  const all = [letter, letter.toLowerCase(), letter.toUpperCase(), letter.toUpperCase().toLowerCase()];
  // What folds to an ASCII letter from afar: the Kelvin sign and the long s.
  if (/k/i.test(letter)) all.push('\u212a');
  if (/s/i.test(letter)) all.push('\u017f');
  return all.filter((other) => [...other].length === 1).map((other) => other.codePointAt(0) as number);
}

/** Whether a set holds a code point, its case and its negation taken into account. */
export function includes(set: CharSet, code: number): boolean {
  const found = set.has(code) || (set.ignoreCase === true && cases(code).some(set.has));
  return found !== (set.negative === true);
}

export function singleton(code: number, ignoreCase: boolean): CharSet {
  return { has: (other) => other === code, ignoreCase };
}

/** From the first to the last, both included. */
export function classRange(low: number, high: number): CharSet {
  return { has: (code) => code >= low && code <= high };
}

export function union(sets: readonly CharSet[], negative: boolean): CharSet {
  return { has: (code) => sets.some((set) => includes(set, code)), negative };
}

function matching(pattern: RegExp): CharSet {
  return { has: (code) => code < 128 && pattern.test(String.fromCharCode(code)) };
}

/** `\d`, `\s` and `\w`: ASCII only. */
export const PERL: Record<string, CharSet> = {
  d: matching(/[0-9]/),
  s: matching(/[\t\n\f\r ]/),
  w: matching(/\w/),
};

export const POSIX: Record<string, CharSet> = {
  alnum: matching(/[0-9A-Za-z]/),
  alpha: matching(/[A-Za-z]/),
  ascii: { has: (code) => code < 128 },
  blank: matching(/[\t ]/),
  cntrl: { has: (code) => code < 32 || code === 127 },
  digit: matching(/[0-9]/),
  graph: matching(/[!-~]/),
  lower: matching(/[a-z]/),
  print: matching(/[ -~]/),
  punct: matching(/[!-/:-@[-`{-~]/),
  space: matching(/[\t-\r ]/),
  upper: matching(/[A-Z]/),
  word: matching(/\w/),
  xdigit: matching(/[0-9A-Fa-f]/),
};

/** A general category (`L`, `Lu`) or a script (`Greek`); null when there is none of that name. */
export function unicodeClass(name: string, ignoreCase: boolean): CharSet | null {
  if (name === 'Any') return classRange(0, 0x10ffff);
  if (!/^[A-Za-z_]+$/.test(name)) return null;
  const property = name.length <= 2 ? name : `Script=${name}`;
  try {
    const pattern = new RegExp(`^\\p{${property}}$`, 'u');
    return { has: (code) => pattern.test(String.fromCodePoint(code)), ignoreCase };
  } catch {
    return null;
  }
}
