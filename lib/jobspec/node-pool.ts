import { type Block, blocksOf, type Diagnostic, diagnosticLine, errorAt, parseHcl } from '../hcl/index.js';
import type { NodePool, NodePoolSchedulerConfiguration } from '../structs/node-pool.js';
import { nearest } from '../util/nearest.js';
import { err, ok, type Result } from '../util/result.js';
import { readAttributes } from './plain-attributes.js';

/** What `node pool init` writes. */
export const INIT_POOL = `node_pool "example" {
  description = "Example node pool"

  # Whatever people should know of these nodes.
  meta {
    environment = "prod"
    owner       = "sre"
  }
}
`;

const KEYS = ['Name', 'Description', 'Meta', 'SchedulerConfiguration', 'CreateIndex', 'ModifyIndex'];
const BLOCKS = ['meta', 'scheduler_config'];

/** Reads a file with one node_pool block, in HCL or, when it begins with a brace, as the API's JSON; errors name the place. */
export function parseNodePool(source: string, filename: string): Result<Partial<NodePool>, string> {
  if (/^\s*\{/.test(source)) return parsePoolJson(source, filename);
  const { body, diagnostics } = parseHcl(source, filename);
  const problems = [...diagnostics];
  const [block, more] = blocksOf(body, 'node_pool');
  if (problems.length > 0) return err(problems.map(diagnosticLine).join('\n'));
  if (!block || more) return err(`${filename}: there must be one node_pool block`);
  const pool = readPool(block, problems);
  return problems.length > 0 ? err(problems.map(diagnosticLine).join('\n')) : ok(pool);
}

function parsePoolJson(source: string, filename: string): Result<Partial<NodePool>, string> {
  try {
    const pool = JSON.parse(source) as Partial<NodePool>;
    // As the API takes it: what is not known is passed over, unless it is most likely misspelt.
    const known = KEYS.map((key) => key.toLowerCase());
    for (const key of Object.keys(pool).filter((key) => !known.includes(key.toLowerCase()))) {
      const near = nearest(key, KEYS);
      if (near) return err(`${filename}: a node pool has no "${key}"; did you mean "${near}"?`);
    }
    return ok(pool);
  } catch (error) {
    return err(`${filename}: ${(error as Error).message}`);
  }
}

function readPool(block: Block, problems: Diagnostic[]): Partial<NodePool> {
  const { description, ...rest } = readAttributes(block.body, ['description', 'meta'], problems, BLOCKS);
  for (const item of block.body.items) {
    if (item.kind === 'block' && !BLOCKS.includes(item.type)) {
      const known = BLOCKS.join(', ');
      problems.push(errorAt(item.range, 'Unknown block', `node_pool has no block "${item.type}"; known are ${known}`));
    }
  }
  const [meta] = blocksOf(block.body, 'meta');
  const [scheduler] = blocksOf(block.body, 'scheduler_config');
  return {
    Name: block.labels[0]?.value ?? '',
    Description: String(description ?? ''),
    Meta: (meta ? readAttributes(meta.body, null, problems) : (rest['meta'] ?? null)) as NodePool['Meta'],
    SchedulerConfiguration: scheduler ? readScheduler(scheduler, problems) : null,
  };
}

function readScheduler(block: Block, problems: Diagnostic[]): NodePoolSchedulerConfiguration {
  const known = ['scheduler_algorithm', 'memory_oversubscription_enabled'];
  const values = readAttributes(block.body, known, problems);
  return {
    SchedulerAlgorithm: String(
      values['scheduler_algorithm'] ?? '',
    ) as NodePoolSchedulerConfiguration['SchedulerAlgorithm'],
    MemoryOversubscriptionEnabled: (values['memory_oversubscription_enabled'] ?? null) as boolean | null,
  };
}
