import type { Constraint } from '../../structs/constraint.js';
import type { Node } from '../../structs/node.js';
import { compilePattern } from './pattern.js';
import { compileTarget, escapesClass } from './target.js';
import { meetsVersion, parseVersion, parseVersionConstraint, type VersionFlavour } from './version.js';

/** A condition on a node, compiled once for each evaluation. */
export interface Check {
  /** What is counted in ConstraintFiltered for a node that fails it. */
  readonly reason: string;
  /** Whether nodes of one computed class may answer differently. */
  readonly escapes: boolean;
  holds(node: Node): boolean;
  /** What a node that fails it has instead, for a person who asks. */
  told?(node: Node): string;
}

/** Compares what was found on both sides; undefined is "the node does not have it". */
type Operator = (left: string | undefined, right: string | undefined) => boolean;

/** A constraint as it is counted and printed: `${attr.kernel.name} = linux`. */
export function constraintText({ LTarget, Operand, RTarget }: Constraint): string {
  return `${LTarget} ${Operand} ${RTarget}`;
}

/** distinct_hosts and distinct_property look at allocations, not at the node: they are no Check. */
export function isDistinct({ Operand }: Constraint): boolean {
  return Operand === 'distinct_hosts' || Operand === 'distinct_property';
}

/** Compiles a constraint or an affinity. */
export function compileCheck(constraint: Constraint): Check {
  const left = compileTarget(constraint.LTarget);
  const right = compileTarget(constraint.RTarget);
  const operator = testOperands(constraint.Operand);
  return {
    reason: constraintText(constraint),
    escapes: escapesClass(constraint.LTarget) || escapesClass(constraint.RTarget),
    holds: (node) => operator(left(node), right(node)),
    told: (node) => left(node) || 'nothing',
  };
}

/** The test that an operand stands for, on what was found on both sides; undefined is "there is none". */
export function testOperands(operand: string): Operator {
  switch (operand) {
    case '=':
    case '==':
    case 'is':
      return both((a, b) => a === b);
    case '!=':
    case 'not':
      // What there is not is as if it were empty.
      return (a, b) => (a ?? '') !== (b ?? '');
    case '<':
      return both((a, b) => order(a, b) < 0);
    case '<=':
      return both((a, b) => order(a, b) <= 0);
    case '>':
      return both((a, b) => order(a, b) > 0);
    case '>=':
      return both((a, b) => order(a, b) >= 0);
    case 'is_set':
      return (a) => a !== undefined;
    case 'is_not_set':
      return (a) => a === undefined;
    case 'regexp':
      return both(memoised((pattern) => compilePattern(pattern)));
    case 'version':
      return both(memoised((text) => versionTest(text, 'version')));
    case 'semver':
      return both(memoised((text) => versionTest(text, 'semver')));
    case 'set_contains':
    case 'set_contains_all':
      return both((a, b) => {
        const has = new Set(words(a));
        return words(b).every((word) => has.has(word));
      });
    case 'set_contains_any':
      return both((a, b) => {
        const has = new Set(words(a));
        return words(b).some((word) => has.has(word));
      });
    default:
      return () => false;
  }
}

function both(compare: (left: string, right: string) => boolean): Operator {
  return (left, right) => left !== undefined && right !== undefined && compare(left, right);
}

/** Compiles the right side once while it stays the same, as it nearly always does. */
function memoised(compile: (right: string) => (left: string) => boolean): (left: string, right: string) => boolean {
  let text: string | undefined;
  let test: (left: string) => boolean = () => false;
  return (left, right) => {
    if (right !== text) {
      text = right;
      test = compile(right);
    }
    return test(left);
  };
}

function versionTest(text: string, flavour: VersionFlavour): (left: string) => boolean {
  const constraint = parseVersionConstraint(text, flavour);
  if (!constraint.ok) return () => false;
  return (left) => {
    // Only what is asked for must be written strictly.
    const version = parseVersion(left, 'version');
    return version !== undefined && meetsVersion(version, constraint.value, flavour);
  };
}

/** As numbers when both are, else letter by letter. */
function order(a: string, b: string): number {
  const [x, y] = [number(a), number(b)];
  if (x !== undefined && y !== undefined) return x - y;
  return a < b ? -1 : a > b ? 1 : 0;
}

function number(text: string): number | undefined {
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : undefined;
}

function words(list: string): string[] {
  return list.split(',').map((word) => word.trim());
}
