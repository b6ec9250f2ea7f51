import type { Result } from '../../util/result.js';
import { err, ok } from '../../util/result.js';

/** A version as constraints compare it: numbers, then what precedes the release. Build metadata never counts. */
export interface Version {
  /** At least three: missing ones are 0. */
  readonly segments: readonly number[];
  /** How many were written. */
  readonly written: number;
  readonly prerelease: readonly string[];
}

/** `version` reads loosely ("1.2beta") and keeps pre-releases apart; `semver` reads and orders as Semantic Versioning 2.0 says. */
export type VersionFlavour = 'version' | 'semver';

type Operator = '=' | '!=' | '>' | '>=' | '<' | '<=' | '~>';

interface Clause {
  readonly operator: Operator;
  readonly version: Version;
}

/** One or more clauses, all of which must hold. */
export type VersionConstraint = readonly Clause[];

const VERSION = /^v?(\d+(?:\.\d+)*)(?:-?([A-Za-z~][\w~.-]*)|-(\d[0-9A-Za-z~.-]*))?(?:\+[0-9A-Za-z~.-]+)?$/;
const SEMVER = /^v?(\d+(?:\.\d+)*)(?:-([A-Za-z~-][0-9A-Za-z~.-]*)|-(\d[0-9A-Za-z~.-]*))?(?:\+[0-9A-Za-z~.-]+)?$/;

/** Reads a version; undefined when it is none. */
export function parseVersion(text: string, flavour: VersionFlavour): Version | undefined {
  const match = (flavour === 'semver' ? SEMVER : VERSION).exec(text.trim());
  if (!match) return undefined;
  const numbers = (match[1] as string).split('.').map(Number);
  const written = numbers.length;
  while (numbers.length < 3) numbers.push(0);
  const prerelease = match[2] ?? match[3] ?? '';
  return { segments: numbers, written, prerelease: prerelease === '' ? [] : prerelease.split('.') };
}

/** Reads ">= 1.2, < 2.0"; the error says which clause is wrong. */
export function parseVersionConstraint(text: string, flavour: VersionFlavour): Result<VersionConstraint, string> {
  const clauses: Clause[] = [];
  for (const part of text.split(',')) {
    const match = /^\s*(=|!=|>=|<=|>|<|~>)?\s*(\S+)\s*$/.exec(part);
    const version = match ? parseVersion(match[2] as string, flavour) : undefined;
    const operator = (match?.[1] ?? '=') as Operator;
    if (!version || (flavour === 'semver' && operator === '~>')) {
      return err(`malformed ${flavour} constraint ${JSON.stringify(part.trim())}; write for example ">= 1.2, < 2.0"`);
    }
    clauses.push({ operator, version });
  }
  return ok(clauses);
}

/** −1, 0 or 1, in the order of Semantic Versioning: a pre-release comes before its release. */
export function compareVersions(a: Version, b: Version): number {
  const bySegments = compareSegments(a, b);
  if (bySegments !== 0) return bySegments;
  if (a.prerelease.length === 0 || b.prerelease.length === 0) {
    return Math.sign(b.prerelease.length - a.prerelease.length);
  }
  for (let i = 0; i < Math.max(a.prerelease.length, b.prerelease.length); i++) {
    const order = compareIdentifiers(a.prerelease[i], b.prerelease[i]);
    if (order !== 0) return order;
  }
  return 0;
}

/** Whether a version meets every clause. */
export function meetsVersion(version: Version, constraint: VersionConstraint, flavour: VersionFlavour): boolean {
  return constraint.every((clause) => meetsClause(version, clause, flavour));
}

function meetsClause(version: Version, { operator, version: bound }: Clause, flavour: VersionFlavour): boolean {
  const order = compareVersions(version, bound);
  if (operator === '=') return order === 0;
  if (operator === '!=') return order !== 0;
  // A pre-release does not slip in under a bound that names none; with one, only pre-releases of the same version do.
  if (flavour === 'version' && version.prerelease.length > 0) {
    if (bound.prerelease.length === 0 || compareSegments(version, bound) !== 0) return false;
  }
  switch (operator) {
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '~>':
      return order >= 0 && isWithin(version, bound);
  }
}

/** All written segments but the last agree: "~> 1.2.3" allows 1.2.9, not 1.3. */
function isWithin(version: Version, bound: Version): boolean {
  if (bound.prerelease.length > 0 && version.prerelease.length === 0) return false;
  if (bound.segments.length > version.segments.length) return false;
  for (let i = 0; i < bound.written - 1; i++) if (version.segments[i] !== bound.segments[i]) return false;
  return true;
}

function compareSegments(a: Version, b: Version): number {
  for (let i = 0; i < Math.max(a.segments.length, b.segments.length); i++) {
    const difference = (a.segments[i] ?? 0) - (b.segments[i] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}

function compareIdentifiers(a: string | undefined, b: string | undefined): number {
  if (a === b) return 0;
  if (a === undefined) return -1;
  if (b === undefined) return 1;
  const numericA = /^\d+$/.test(a);
  const numericB = /^\d+$/.test(b);
  if (numericA && numericB) return Math.sign(Number(a) - Number(b));
  if (numericA !== numericB) return numericA ? -1 : 1;
  return a < b ? -1 : 1;
}
