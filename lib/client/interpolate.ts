// `${…}` in a task's config, env and so on, as far as only the node can fill it in. Pure.

/** Everything a reference can name: `NOMAD_PORT_http`, `attr.kernel.name`, `meta.rack`, `env.HOME`, `secret.db.password`. */
export interface Interpolation {
  /** The task's environment. */
  env: Readonly<Record<string, string>>;
  /** `attr.…`, `node.…` and `meta.…` of the node and `secret.…` of the task, by full name. */
  node: Readonly<Record<string, string>>;
}

const REFERENCE = /\$\{\s*([A-Za-z_][\w.-]*)(?:\[\s*"([^"\]]*)"\s*\])?\s*\}/g;

/** Replaces every reference that is known; one that is not stays as it stands, so that a shell may still use it. */
export function interpolateText(text: string, from: Interpolation): string {
  if (!text.includes('${')) return text;
  return text.replace(REFERENCE, (whole, name: string, key: string | undefined) => {
    const full = key === undefined ? name : `${name}.${key}`;
    return lookUp(full, from) ?? whole;
  });
}

/** Interpolates the strings in any JSON value, also the keys of objects as Nomad does for `labels` and the like. */
export function interpolateValue<T>(value: T, from: Interpolation): T {
  if (typeof value === 'string') return interpolateText(value, from) as T;
  if (Array.isArray(value)) return value.map((item) => interpolateValue(item, from)) as T;
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [interpolateText(key, from), interpolateValue(item, from)]),
  ) as T;
}

function lookUp(name: string, { env, node }: Interpolation): string | undefined {
  if (name.startsWith('env.')) return own(env, name.slice('env.'.length));
  return own(env, name) ?? own(node, name);
}

function own(map: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}
