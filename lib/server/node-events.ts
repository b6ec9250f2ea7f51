import type { Node, NodeEvent } from '../structs/node.js';
import { rfc3339 } from './endpoints/context.js';

// What a node's list of events tells of it.

export function nodeEvent(Message: string, nowMs: number): NodeEvent {
  return { Message, Subsystem: 'Cluster', Details: null, Timestamp: rfc3339(nowMs), CreateIndex: 0 };
}

export function drainEvent(Message: string, nowMs: number): NodeEvent {
  return { ...nodeEvent(Message, nowMs), Subsystem: 'Drain' };
}

/** What is worth telling of a registration: a new node, one that was gone, drivers that fell ill or got well; else nothing. */
export function registrationEvent(before: Node | undefined, node: Node, nowMs: number): NodeEvent | null {
  if (!before) return nodeEvent('Node registered', nowMs);
  if (before.Status === 'down' || before.Status === 'disconnected') return nodeEvent('Node re-registered', nowMs);
  const changed = Object.entries(node.Drivers ?? {}).filter(([name, { Healthy }]) => {
    const former = before.Drivers?.[name];
    return former !== undefined && former.Healthy !== Healthy;
  });
  if (changed.length === 0) return null;
  const told = changed.map(([, driver]) => driver.HealthDescription || (driver.Healthy ? 'Healthy' : 'Unhealthy'));
  return {
    ...nodeEvent([...new Set(told)].join('; '), nowMs),
    Subsystem: 'Driver',
    Details: { driver: changed.map(([name]) => name).join(',') },
  };
}
