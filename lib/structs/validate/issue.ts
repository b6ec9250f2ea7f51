/** What is wrong, or worth a warning, in a job; `path` leads to it: "TaskGroups[0].Tasks[1].Driver". */
export interface Issue {
  /** Wrong whatever the version, or known and right but not there yet. */
  reason: 'invalid' | 'not-yet';
  path: string;
  message: string;
}

/** Where the validators put what they find, at one place of the job and below it. */
export interface Report {
  /** The path of this place; '' is the job. */
  readonly path: string;
  error(key: string, message: string): void;
  warning(key: string, message: string): void;
  /** An error: this version cannot do that yet. */
  notYet(key: string, feature: string): void;
  /** The same report for a part; `prefix` comes before its errors ("Task web validation failed: "). */
  at(key: string | number, prefix?: string): Report;
}

/** A report that collects into two lists. */
export function newReport(errors: Issue[], warnings: Issue[], path = '', prefix = ''): Report {
  return {
    path,
    error: (key, message) => void errors.push({ reason: 'invalid', path: join(path, key), message: prefix + message }),
    warning: (key, message) => void warnings.push({ reason: 'invalid', path: join(path, key), message }),
    notYet: (key, feature) =>
      void errors.push({
        reason: 'not-yet',
        path: join(path, key),
        message: `\`${feature}\` is not supported yet`,
      }),
    at: (key, more = '') => newReport(errors, warnings, join(path, key), prefix + more),
  };
}

/** `a` + `B` → `a.B`; `a` + 0 → `a[0]`; the empty key is the place itself. */
function join(path: string, key: string | number): string {
  if (typeof key === 'number') return `${path}[${key}]`;
  if (key === '') return path;
  return path === '' ? key : `${path}.${key}`;
}

/** Every name that occurs again, with both positions. */
export function findRepeated(names: readonly string[]): { name: string; first: number; again: number }[] {
  const seen = new Map<string, number>();
  return names.flatMap((name, again) => {
    const first = seen.get(name);
    if (first === undefined) seen.set(name, again);
    return first === undefined ? [] : [{ name, first, again }];
  });
}
