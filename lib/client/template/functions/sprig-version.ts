import { compareVersions, parseVersion, type Version } from '../../../scheduler/feasible/version.js';
import { fn, quote, Struct, type Value } from '../../../template/index.js';

const CLAUSE = /^(!=|>=|=>|<=|=<|~>|=|>|<|~|\^)?\s*(.+)$/;
/** No version, and no set of constraints, is longer. */
const CHARS_MAX = 1_000;
const WILD = /^(?:x|X|\*)$/;

/** A version with its Major, Minor, Patch, Prerelease and Metadata; printed as it is compared. */
export function versionOf(text: string): Struct {
  const version = read(text);
  const [major = 0, minor = 0, patch = 0] = version.segments;
  const metadata = /\+(.*)$/.exec(text)?.[1] ?? '';
  const prerelease = version.prerelease.join('.');
  const shown = `${major}.${minor}.${patch}${prerelease && `-${prerelease}`}${metadata && `+${metadata}`}`;
  const methods = {
    String: fn(0, () => shown),
    Original: fn(0, () => text),
    Major: fn(0, () => major),
    Minor: fn(0, () => minor),
    Patch: fn(0, () => patch),
    Prerelease: fn(0, () => prerelease),
    Metadata: fn(0, () => metadata),
    Compare: fn(1, (other: Value) => compareVersions(version, read(String(textOf(other))))),
  };
  return new Struct('*semver.Version', {}, methods);
}

function textOf(value: Value): Value {
  return value instanceof Struct ? value.methods['String']?.call([]) : value;
}

function read(text: string): Version {
  if (text.length > CHARS_MAX) throw new Error('Invalid Semantic Version');
  const version = /^v?\d+(\.\d+){0,2}([-+].*)?$/.test(text) ? parseVersion(text, 'semver') : undefined;
  if (!version) throw new Error('Invalid Semantic Version');
  return version;
}

/** Whether a version is within `^1.2`, `~1.2.3`, `1.x`, `1.2 - 1.4`, `>=1 <3`, or one of several with `||` between them. */
export function compareVersion(constraint: string, text: string): boolean {
  const version = read(text);
  if (constraint.length > CHARS_MAX) throw new Error(`a constraint has at most ${CHARS_MAX} characters`);
  return constraint
    .split('||')
    .map((all) => clausesOf(all.trim()).map((clause) => meets(version, clause)))
    .some((met) => met.every((one) => one));
}

function clausesOf(text: string): string[] {
  const ranged = text.replace(/(\S+)\s+-\s+(\S+)/g, '>=$1 <=$2');
  const parts = ranged.replace(/(^|[\s,])([=!<>~^]+)\s+/g, '$1$2').split(/[\s,]+/);
  return parts.filter((part) => part !== '');
}

function meets(version: Version, clause: string): boolean {
  const [, operator = '', wanted = ''] = CLAUSE.exec(clause) ?? [];
  const [core = '', ...rest] = wanted.replace(/^v/, '').split(/(?=[-+])/);
  const numbers = core.split('.');
  const wildAt = numbers.findIndex((part) => WILD.test(part));
  if (!/^(?:\d+|x|X|\*)(?:\.(?:\d+|x|X|\*)){0,2}$/.test(core)) throw new Error(`improper constraint: ${quote(clause)}`);
  const given = wildAt < 0 ? numbers.length : wildAt;
  const low = read(`${[0, 1, 2].map((i) => (i < given ? numbers[i] : 0)).join('.')}${rest.join('')}`);
  // A version before its release is taken only where one is asked for.
  if (version.prerelease.length > 0 && low.prerelease.length === 0) return false;
  const order = compareVersions(version, low);
  const below = (count: number): boolean => given === 0 || compareVersions(version, next(low, count)) < 0;
  switch (operator) {
    case '!=':
      return given === 3 ? order !== 0 : order < 0 || !below(given);
    case '>':
      return given === 3 ? order > 0 : !below(given);
    case '>=':
    case '=>':
      return order >= 0;
    case '<':
      return order < 0;
    case '<=':
    case '=<':
      return given === 3 ? order <= 0 : below(given);
    case '~':
    case '~>':
      return order >= 0 && below(Math.min(given, 2));
    case '^':
      return order >= 0 && below(caretPlace(low, given));
    default:
      return given === 3 ? order === 0 : order >= 0 && below(given);
  }
}

/** `^` leaves the first number that is not 0 as it is. */
function caretPlace({ segments }: Version, given: number): number {
  const first = segments.findIndex((part) => part > 0);
  return first < 0 || first >= given ? given : first + 1;
}

/** The first version after all that begin with the same `count` numbers. */
function next({ segments }: Version, count: number): Version {
  const raised = segments.map((part, i) => (i < count - 1 ? part : i === count - 1 ? part + 1 : 0));
  return { segments: raised, written: 3, prerelease: [] };
}
