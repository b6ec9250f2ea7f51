// What the definition of a volume is made of, from whoever hands one in: types are not trusted, plugins and the scheduler rely on them.

/** Refuses a definition with what is wrong about it. */
export type Refuse = (what: string) => never;

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Names with texts; null when nothing is given. */
export function texts(name: string, given: unknown, refuse: Refuse): Record<string, string> | null {
  if (given === undefined || given === null) return null;
  if (!isObject(given) || Object.values(given).some((value) => typeof value !== 'string')) {
    return refuse(`${name} is an object of texts`);
  }
  return given as Record<string, string>;
}

/** A list of objects; null when nothing is given. */
export function objects(name: string, given: unknown, refuse: Refuse): Record<string, unknown>[] | null {
  if (given === undefined || given === null) return null;
  if (!Array.isArray(given) || !given.every(isObject)) return refuse(`${name} is a list of objects`);
  return given;
}
