import { type Diagnostic, diagnosticLine, errorAt, type SourceRange } from '../hcl/index.js';
import type { ScalingPolicy } from '../structs/job.js';
import { err, ok, type Result } from '../util/result.js';
import { parseRaw, type RawNode, type RawObject } from './config/raw.js';

const KEYS = ['enabled', 'min', 'max', 'type', 'policy'];

type Tree = Record<string, unknown>;

/** Reads the `scaling "NAME" { min, max, policy {} }` blocks of a file in HCL or JSON, as Nomad's autoscaler takes them. */
export function readPolicyFile(source: string, filename: string): Result<ScalingPolicy[], string> {
  const { root, diagnostics } = parseRaw(source, filename);
  const problems: Diagnostic[] = [...diagnostics];
  const policies = root.entries.flatMap(({ key, keyRange, node }) => {
    if (key === 'scaling') return named(node, keyRange, problems);
    problems.push(errorAt(keyRange, 'Unknown element', 'a policy file has scaling blocks, and nothing else'));
    return [];
  });
  if (problems.length > 0) return err(problems.map(diagnosticLine).join('\n'));
  return ok(policies);
}

/** The policies of one `scaling` key: a block has one, an object of JSON as many as it has keys. */
function named(node: RawNode, at: SourceRange, problems: Diagnostic[]): ScalingPolicy[] {
  if (node.kind === 'list') return node.items.flatMap((item) => named(item, at, problems));
  const entries = node.kind === 'object' ? node.entries : [];
  if (entries.length === 0 || entries.some(({ node: inner }) => inner.kind === 'scalar')) {
    problems.push(errorAt(at, 'Missing name', 'a scaling block needs a name: scaling "gpu" {'));
    return [];
  }
  return entries.flatMap(({ key, keyRange, node: inner }) => {
    if (inner.kind === 'object') return [policyOf(key, inner, problems)];
    if (inner.kind !== 'broken')
      problems.push(errorAt(keyRange, 'Not a block', `scaling "${key}" is a block, and stands once`));
    return [];
  });
}

function policyOf(name: string, body: RawObject, problems: Diagnostic[]): ScalingPolicy {
  for (const { key, keyRange } of body.entries) {
    if (!KEYS.includes(key))
      problems.push(errorAt(keyRange, 'Unknown argument', `"${key}" is none of ${KEYS.join(', ')}`));
  }
  const values = treeOf(body);
  const number = (key: string): number | null => {
    const value = values[key] ?? null;
    if (typeof value === 'number' || value === null) return value;
    problems.push(errorAt(body.range, 'Not a number', `${key} of scaling "${name}" is no number`));
    return null;
  };
  const { policy = null, type, enabled } = values;
  return {
    ID: name,
    Type: typeof type === 'string' ? type : 'cluster',
    Target: null,
    Min: number('min'),
    Max: number('max'),
    Policy: (Array.isArray(policy) ? policy[0] : policy) as Tree | null,
    Enabled: enabled !== false,
    CreateIndex: 0,
    ModifyIndex: 0,
  };
}

/** What stands in an object; a key that stands several times, as blocks do, is a list. */
function treeOf({ entries }: RawObject): Tree {
  const values: Tree = {};
  for (const { key, node } of entries) {
    const known = values[key];
    values[key] = known === undefined ? plain(node) : [known, plain(node)].flat();
  }
  return values;
}

function plain(node: RawNode): unknown {
  switch (node.kind) {
    case 'object':
      return treeOf(node);
    case 'list':
      return node.items.map(plain);
    case 'scalar':
      return typeof node.value === 'bigint' ? Number(node.value) : node.value;
    default:
      // A diagnostic says why.
      return null;
  }
}
