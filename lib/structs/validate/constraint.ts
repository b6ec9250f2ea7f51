import { nearest } from '../../util/nearest.js';
import { compileRegex } from '../../util/regex/machine.js';
import type { Affinity, Constraint, Spread } from '../constraint.js';
import type { Report } from './issue.js';

const COMPARISONS = ['=', '==', 'is', '!=', 'not', '<', '<=', '>', '>='];
const SETS = ['set_contains', 'set_contains_all', 'set_contains_any'];

const SHARED = [...COMPARISONS, ...SETS, 'regexp', 'version', 'semver'];
const OF_CONSTRAINTS = [...SHARED, 'is_set', 'is_not_set', 'distinct_hosts', 'distinct_property'];

/** What to say of an operator that is none. */
function unknownOperator(operand: string, known: readonly string[]): string {
  // Of signs one is as near as another.
  const near = /^\w/.test(operand) ? nearest(operand, known) : undefined;
  const hint = near ? `did you mean ${JSON.stringify(near)}?` : `known are ${known.join(', ')}`;
  return `Unknown operator ${JSON.stringify(operand)}: ${hint}`;
}

const VERSION = String.raw`v?\d+(\.\d+)*(-[0-9A-Za-z.-]+|[-~]?[A-Za-z][0-9A-Za-z.~-]*)?(\+[0-9A-Za-z.~-]+)?`;
/** Of semver there is no `~>`: no node would ever meet it. */
const VERSION_CONSTRAINTS = {
  version: new RegExp(String.raw`^\s*(=|!=|>|<|>=|<=|~>)?\s*${VERSION}\s*$`),
  semver: new RegExp(String.raw`^\s*(=|!=|>|<|>=|<=)?\s*${VERSION}\s*$`),
};

/** The operators that constraints and affinities share. */
function validateOperand({ LTarget, RTarget, Operand }: Constraint, report: Report): boolean {
  if (COMPARISONS.includes(Operand)) {
    if (RTarget === '') report.error('RTarget', `Operator ${JSON.stringify(Operand)} requires a value`);
    return true;
  }
  if (SETS.includes(Operand)) {
    if (RTarget === '') report.error('RTarget', `Operator ${JSON.stringify(Operand)} requires a value`);
    return true;
  }
  if (Operand === 'regexp') {
    const regex = compileRegex(RTarget);
    if (!regex.ok) report.error('RTarget', `The value is no regular expression: ${regex.error}`);
    return true;
  }
  if (Operand === 'version' || Operand === 'semver') {
    const form = VERSION_CONSTRAINTS[Operand];
    if (!RTarget.split(',').every((part) => form.test(part))) {
      report.error(
        'RTarget',
        `${JSON.stringify(RTarget)} is no ${Operand} constraint; write for example ">= 1.2, < 2.0"`,
      );
    }
    return true;
  }
  if (Operand === '') {
    report.error('Operand', `Missing operator${LTarget === '' ? '' : ` for attribute ${JSON.stringify(LTarget)}`}`);
    return true;
  }
  return false;
}

const ATTRIBUTES = ['node.unique.id', 'node.unique.name', 'node.datacenter', 'node.class', 'node.pool'];
const ATTRIBUTE_GROUPS = ['attr.', 'meta.', 'device.'];

/** What is wrong with the left side of a constraint: nothing that a node has could ever match it. Text without `$` is itself. */
function badAttribute(target: string): string | undefined {
  if (!target.startsWith('$')) return undefined;
  const quoted = JSON.stringify(target);
  if (!target.startsWith('${')) return `attribute ${quoted} is missing an opening brace`;
  if (!target.endsWith('}')) return `attribute ${quoted} is missing a closing brace`;
  const path = target.slice(2, -1);
  if (ATTRIBUTES.includes(path) || ATTRIBUTE_GROUPS.some((group) => path.startsWith(group))) return undefined;
  const near = nearest(path, ATTRIBUTES);
  const hint = near ? `did you mean "\${${near}}"?` : 'known are ${attr.…}, ${meta.…} and ${node.…}';
  return `unsupported attribute ${quoted}: ${hint}`;
}

/** `attr.arch` is text, the same on all nodes: hardly what is meant. */
function warnOfPlainText(target: string, key: string, report: Report): void {
  if (!ATTRIBUTES.includes(target) && !ATTRIBUTE_GROUPS.some((group) => target.startsWith(group))) return;
  report.warning(key, `${JSON.stringify(target)} is plain text, the same on all nodes: did you mean "\${${target}}"?`);
}

type Level = 'job' | 'group' | 'task' | 'device';

function validateConstraint(constraint: Constraint, report: Report, level: Level): void {
  const { LTarget, RTarget, Operand } = constraint;
  let needsAttribute = true;
  if (Operand === 'distinct_hosts') {
    needsAttribute = false;
  } else if (Operand === 'distinct_property') {
    if (RTarget !== '' && !/^0*[1-9]\d*$/.test(RTarget)) {
      report.error(
        'RTarget',
        `The value of distinct_property is how often a property may occur: 1 or more, not ${JSON.stringify(RTarget)}`,
      );
    }
  } else if (Operand === 'is_set' || Operand === 'is_not_set') {
    if (RTarget !== '') report.error('RTarget', `Operator ${JSON.stringify(Operand)} takes no value`);
  } else if (!validateOperand(constraint, report)) {
    report.error('Operand', unknownOperator(Operand, OF_CONSTRAINTS));
  }
  if ((level === 'task' || level === 'device') && (Operand === 'distinct_hosts' || Operand === 'distinct_property')) {
    report.error('Operand', `Operator ${JSON.stringify(Operand)} is allowed in jobs and groups only`);
  }
  if (!needsAttribute) return;
  const bad = LTarget === '' ? `Operator ${JSON.stringify(Operand)} requires an attribute` : badAttribute(LTarget);
  if (bad !== undefined) report.error('LTarget', bad);
  warnOfPlainText(LTarget, 'LTarget', report);
}

function validateAffinity(affinity: Affinity, report: Report): void {
  if (!validateOperand(affinity, report)) {
    report.error('Operand', unknownOperator(affinity.Operand, SHARED));
  }
  if (affinity.LTarget === '') report.error('LTarget', 'Missing affinity attribute');
  warnOfPlainText(affinity.LTarget, 'LTarget', report);
  if (affinity.Weight === 0) report.error('Weight', 'A weight of zero has no effect: leave the affinity out');
  if (Math.abs(affinity.Weight) > 100) {
    report.error('Weight', `The weight must lie between -100 and 100, not ${affinity.Weight}`);
  }
}

function validateSpread(spread: Spread, report: Report): void {
  if (spread.Attribute === '') report.error('Attribute', 'Missing spread attribute');
  warnOfPlainText(spread.Attribute, 'Attribute', report);
  if (spread.Weight <= 0 || spread.Weight > 100) {
    report.error('Weight', `The weight must lie between 1 and 100, not ${spread.Weight}`);
  }
  const seen = new Set<string>();
  let sum = 0;
  for (const [i, { Value, Percent }] of (spread.SpreadTarget ?? []).entries()) {
    const at = report.at('SpreadTarget').at(i);
    if (seen.has(Value)) at.error('Value', `There are two targets ${JSON.stringify(Value)}`);
    seen.add(Value);
    if (Percent < 0 || Percent > 100) {
      at.error('Percent', `The percent of target ${JSON.stringify(Value)} must lie between 0 and 100, not ${Percent}`);
    }
    sum += Percent;
  }
  if (sum > 100) {
    report.error('SpreadTarget', `The targets together take ${sum} percent of 100`);
  }
}

interface Placed {
  Constraints: Constraint[] | null;
  Affinities: Affinity[] | null;
  Spreads?: Spread[] | null;
}

/** What is asked of a device: constraints and affinities, whatever the job's type. */
export function validateDeviceAsk(placed: Placed, report: Report): void {
  validatePlacement(placed, 'service', report, 'device');
}

/** Constraints, affinities and spreads of one level. System jobs run everywhere: nothing is there to prefer. */
export function validatePlacement(placed: Placed, type: string, report: Report, level: Level): void {
  for (const [i, constraint] of (placed.Constraints ?? []).entries()) {
    validateConstraint(constraint, report.at('Constraints').at(i, `Constraint ${i + 1} validation failed: `), level);
  }
  if (type === 'system') {
    if (placed.Affinities)
      report.error('Affinities', 'A system job runs on every node: `affinity` has no meaning for it');
    if (placed.Spreads) report.error('Spreads', 'A system job runs on every node: `spread` has no meaning for it');
    return;
  }
  for (const [i, affinity] of (placed.Affinities ?? []).entries()) {
    validateAffinity(affinity, report.at('Affinities').at(i, `Affinity ${i + 1} validation failed: `));
  }
  for (const [i, spread] of (placed.Spreads ?? []).entries()) {
    validateSpread(spread, report.at('Spreads').at(i, `Spread ${i + 1} validation failed: `));
  }
}
