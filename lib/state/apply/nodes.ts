import { MeshError } from '../../structs/errors.js';
import type { Node, NodeEvent } from '../../structs/node.js';
import { computedClass } from '../../structs/node-class.js';
import { err, ok } from '../../util/result.js';
import type {
  CommandResult,
  DrainUpdate,
  NodeDeregisterCommand,
  NodeDrainCommand,
  NodeEligibilityCommand,
  NodeRegisterCommand,
  NodeStatusCommand,
} from '../commands.js';
import { shareEqual } from '../share.js';
import type { Transaction } from '../transaction.js';
import { storeEvals } from './evals.js';
import { settleHostVolumes } from './host-volumes.js';
import { ensureNodePool } from './node-pools.js';

/** A node remembers its latest events only. */
const NODE_EVENTS_KEPT = 10;

export function applyNodeRegister(txn: Transaction, command: NodeRegisterCommand): CommandResult<'node-register'> {
  const existing = txn.tables.nodes.get(command.node.ID);
  const wanted = shareEqual(existing, command.node);
  // What a person or the drainer decided about a node outlives its restart.
  const decided = existing ?? wanted;
  const node: Node = {
    ...wanted,
    ComputedClass: wanted.ComputedClass === '' ? computedClass(wanted) : wanted.ComputedClass,
    SchedulingEligibility: decided.SchedulingEligibility,
    DrainStrategy: decided.DrainStrategy,
    Drain: decided.DrainStrategy !== null,
    LastDrain: decided.LastDrain,
    Events: withEvent(decided.Events, command.event, txn.index),
    CreateIndex: existing?.CreateIndex ?? txn.index,
    ModifyIndex: txn.index,
  };
  txn.putNode(node);
  settleHostVolumes(txn, node.ID);
  ensureNodePool(txn, node.NodePool);
  storeEvals(txn, command.evals);
  return ok({ node });
}

export function applyNodeDeregister(
  txn: Transaction,
  command: NodeDeregisterCommand,
): CommandResult<'node-deregister'> {
  for (const id of command.ids) {
    const node = txn.tables.nodes.get(id);
    if (node === undefined) continue;
    txn.deleteNode(node);
    settleHostVolumes(txn, id);
  }
  storeEvals(txn, command.evals);
  return ok(null);
}

export function applyNodeStatus(txn: Transaction, command: NodeStatusCommand): CommandResult<'node-status'> {
  const existing = txn.tables.nodes.get(command.id);
  if (existing === undefined) return err(nodeNotFound(command.id));
  const node: Node = {
    ...existing,
    Status: command.status,
    StatusDescription: command.statusDescription ?? '',
    StatusUpdatedAt: command.updatedAt,
    Events: withEvent(existing.Events, command.event, txn.index),
    ModifyIndex: txn.index,
  };
  txn.putNode(node);
  settleHostVolumes(txn, node.ID);
  storeEvals(txn, command.evals);
  return ok({ node });
}

export function applyNodeEligibility(
  txn: Transaction,
  command: NodeEligibilityCommand,
): CommandResult<'node-eligibility'> {
  const existing = txn.tables.nodes.get(command.id);
  if (existing === undefined) return err(nodeNotFound(command.id));
  if (existing.DrainStrategy !== null && command.eligibility === 'eligible') {
    return err(
      new MeshError('E_CONFLICT', "can not set node's scheduling eligibility to eligible while it is draining"),
    );
  }
  const node: Node = {
    ...existing,
    SchedulingEligibility: command.eligibility,
    Events: withEvent(existing.Events, command.event, txn.index),
    ModifyIndex: txn.index,
  };
  txn.putNode(node);
  storeEvals(txn, command.evals);
  return ok({ node });
}

export function applyNodeDrain(txn: Transaction, command: NodeDrainCommand): CommandResult<'node-drain'> {
  const unknown: string[] = [];
  for (const [id, update] of Object.entries(command.updates)) {
    const existing = txn.tables.nodes.get(id);
    if (existing === undefined) unknown.push(id);
    else txn.putNode(drained(existing, update, { index: txn.index, at: command.at }));
  }
  storeEvals(txn, command.evals);
  return ok({ unknown });
}

function drained(node: Node, update: DrainUpdate, { index, at }: { index: number; at: string }): Node {
  const { strategy } = update;
  const eligibility = update.markEligible ? 'eligible' : node.SchedulingEligibility;
  return {
    ...node,
    DrainStrategy: strategy,
    Drain: strategy !== null,
    SchedulingEligibility: strategy !== null ? 'ineligible' : eligibility,
    LastDrain: lastDrain(node, update, at),
    Events: withEvent(node.Events, update.event, index),
    ModifyIndex: index,
  };
}

/** What `node status` tells of the latest drain. */
interface LastDrain {
  StartedAt: string;
  UpdatedAt: string;
  Status: 'draining' | 'complete' | 'canceled';
  AccessorID: string;
  Meta: Record<string, string> | null;
}

function lastDrain(node: Node, update: DrainUpdate, at: string): LastDrain | null {
  const last = node.LastDrain as LastDrain | null;
  const Meta = update.meta ?? last?.Meta ?? null;
  if (update.strategy !== null) {
    const goesOn = node.DrainStrategy !== null && last !== null;
    const StartedAt = goesOn ? last.StartedAt : at;
    return {
      StartedAt,
      UpdatedAt: at,
      Status: 'draining',
      AccessorID: '',
      Meta: goesOn ? Meta : (update.meta ?? null),
    };
  }
  if (last === null || node.DrainStrategy === null) return last;
  return { ...last, UpdatedAt: at, Status: update.outcome ?? 'canceled', Meta };
}

function withEvent(events: NodeEvent[] | null, event: NodeEvent | null, index: number): NodeEvent[] | null {
  if (event === null) return events;
  return [...(events ?? []), { ...event, CreateIndex: index }].slice(-NODE_EVENTS_KEPT);
}

function nodeNotFound(id: string): MeshError {
  return new MeshError('E_NOT_FOUND', `node "${id}" not found`);
}
