import { MeshError } from '../../structs/errors.js';
import { emptyPool } from '../../structs/node-pool.js';
import { err, ok } from '../../util/result.js';
import type { CommandResult, NodePoolDeleteCommand, NodePoolUpsertCommand } from '../commands.js';
import type { Transaction } from '../transaction.js';

export function applyNodePoolUpsert(
  txn: Transaction,
  command: NodePoolUpsertCommand,
): CommandResult<'node-pool-upsert'> {
  const existing = txn.tables.node_pools.get(command.pool.Name);
  txn.putNodePool({
    ...command.pool,
    CreateIndex: existing?.CreateIndex ?? txn.index,
    ModifyIndex: txn.index,
  });
  return ok(null);
}

export function applyNodePoolDelete(
  txn: Transaction,
  command: NodePoolDeleteCommand,
): CommandResult<'node-pool-delete'> {
  const pool = txn.tables.node_pools.get(command.name);
  if (pool === undefined) return err(new MeshError('E_NOT_FOUND', `node pool ${command.name} not found`));
  // Asked again here: a node or a job may have come since the leader looked.
  for (const node of txn.tables.nodes.values()) {
    if (node.NodePool === command.name) return err(inUse(command.name, 'nodes'));
  }
  for (const job of txn.tables.jobs.values()) {
    if (job.NodePool === command.name && job.Status !== 'dead') return err(inUse(command.name, 'jobs'));
  }
  txn.deleteNodePool(pool);
  return ok(null);
}

/** A node that names a pool nobody has made brings it with it. */
export function ensureNodePool(txn: Transaction, name: string): void {
  if (name === 'default' || name === 'all' || txn.tables.node_pools.get(name) !== undefined) return;
  txn.putNodePool(emptyPool(name, txn.index));
}

const inUse = (name: string, what: string): MeshError =>
  new MeshError('E_CONFLICT', `node pool "${name}" has ${what}: move them to another pool first`);
