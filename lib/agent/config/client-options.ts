// `client { options { } }`: Nomad's older way to say some things, as names and texts.

/** What the options say. */
export interface ClientOptions {
  /** Drivers that are on although their plugin block does not say so. */
  enabledDrivers: string[];
  /** Whether a driver may be offered here. */
  allowsDriver: (name: string) => boolean;
  /** Users as whom tasks of these drivers must not run; null: the usual ones. */
  deniedUsers: { names: readonly string[] | null; drivers: readonly string[] | null };
  /** Variables of the agent's environment that no task inherits; null: the usual ones. */
  envDenylist: readonly string[] | null;
}

/** Both names of each: as Nomad calls it, and as it was called before. */
const DRIVERS_ALLOWED = ['driver.allowlist', 'driver.whitelist'];
const DRIVERS_DENIED = ['driver.denylist', 'driver.blacklist'];
const USERS_DENIED = ['user.denylist', 'user.blacklist'];
const ENV_DENIED = ['env.denylist', 'env.blacklist'];
const CHECKED_DRIVERS = 'user.checked_drivers';
const ENABLE = /^driver\.([^.]+)\.enable$/;
const KNOWN = new Set([...DRIVERS_ALLOWED, ...DRIVERS_DENIED, ...USERS_DENIED, ...ENV_DENIED, CHECKED_DRIVERS]);

export function readClientOptions(options: Readonly<Record<string, string>>): ClientOptions {
  const list = (...keys: string[]): string[] | null => {
    const key = keys.find((one) => Object.hasOwn(options, one));
    return key === undefined ? null : (options[key] ?? '').split(',').flatMap((name) => name.trim() || []);
  };
  const allowed = list(...DRIVERS_ALLOWED) ?? [];
  const denied = list(...DRIVERS_DENIED) ?? [];
  return {
    enabledDrivers: Object.entries(options).flatMap(([key, value]) =>
      /^(1|true)$/.test(value) ? (ENABLE.exec(key)?.[1] ?? []) : [],
    ),
    // As with Nomad, an empty list of what is allowed forbids nothing.
    allowsDriver: (name) => !denied.includes(name) && (allowed.length === 0 || allowed.includes(name)),
    deniedUsers: { names: list(...USERS_DENIED), drivers: list(CHECKED_DRIVERS) },
    envDenylist: list(...ENV_DENIED),
  };
}

/** Options that nothing acts on: told, not passed over. */
export function optionsWithoutEffect(options: Readonly<Record<string, string>>): string[] {
  return Object.keys(options).filter((key) => !KNOWN.has(key) && !ENABLE.test(key));
}
