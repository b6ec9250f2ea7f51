import {
  attributesOf,
  type Block,
  type Body,
  blocksOf,
  type Diagnostic,
  diagnosticLine,
  errorAt,
  evaluate,
  parseHcl,
  STANDARD_FUNCTIONS,
  toJs,
} from '../hcl/index.js';
import type { ScalingPolicy } from '../structs/job.js';
import { err, ok, type Result } from '../util/result.js';

const KEYS = ['enabled', 'min', 'max', 'type'];

/** Reads the `scaling "NAME" { min, max, policy {} }` blocks of a file, as Nomad's autoscaler takes them. */
export function readPolicyFile(source: string, filename: string): Result<ScalingPolicy[], string> {
  const { body, diagnostics } = parseHcl(source, filename);
  const problems = [...diagnostics];
  for (const item of body.items) {
    if (item.kind === 'block' && item.type === 'scaling') continue;
    const range = item.kind === 'block' ? item.range : item.nameRange;
    problems.push(errorAt(range, 'Unknown element', 'a policy file has scaling blocks, and nothing else'));
  }
  const policies = blocksOf(body, 'scaling').map((block) => policyOf(block, problems));
  if (problems.length > 0) return err(problems.map(diagnosticLine).join('\n'));
  return ok(policies);
}

function policyOf(block: Block, problems: Diagnostic[]): ScalingPolicy {
  const name = block.labels[0]?.value ?? '';
  if (name === '') problems.push(errorAt(block.range, 'Missing name', 'a scaling block needs a name: scaling "gpu" {'));
  const values = tree(block.body, problems);
  const { policy, ...rest } = values;
  for (const { name: key, nameRange } of attributesOf(block.body)) {
    if (!KEYS.includes(key))
      problems.push(errorAt(nameRange, 'Unknown argument', `"${key}" is none of ${KEYS.join(', ')}`));
  }
  const number = (key: string): number | null => (typeof rest[key] === 'number' ? (rest[key] as number) : null);
  const [body] = Array.isArray(policy) ? (policy as Record<string, unknown>[]) : [];
  return {
    ID: name,
    Type: typeof rest['type'] === 'string' ? rest['type'] : 'cluster',
    Target: null,
    Min: number('min'),
    Max: number('max'),
    Policy: body ?? null,
    Enabled: rest['enabled'] !== false,
    CreateIndex: 0,
    ModifyIndex: 0,
  };
}

/** A body as jobs have their policies: every block is a list of maps, its labels maps within. */
function tree(body: Body, problems: Diagnostic[]): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const { name, expression } of attributesOf(body)) {
    const result = evaluate(expression, { functions: STANDARD_FUNCTIONS });
    problems.push(...result.diagnostics);
    if (result.diagnostics.length === 0) values[name] = toJs(result.value);
  }
  for (const item of body.items) {
    if (item.kind !== 'block') continue;
    const inner = item.labels.reduceRight<unknown>(
      (value, { value: label }) => ({ [label]: [value] }),
      tree(item.body, problems),
    );
    values[item.type] = [...((values[item.type] as unknown[] | undefined) ?? []), inner];
  }
  return values;
}
