import { PassThrough } from 'node:stream';
import { MeshError } from '../structs/errors.js';
import { LOG_LEVELS, type LogLevel } from '../util/log.js';
import { badRequest } from './errors.js';
import { flag } from './query.js';
import type { Exchange } from './router.js';
import { openStream, sendStream } from './stream.js';

/**
 * `agent/monitor`: what an agent logs from now on, whatever level it writes itself, as Nomad's: this agent's, or with `node_id`
 * that of the agent on a node.
 */
export async function monitor(exchange: Exchange): Promise<undefined> {
  const { query } = exchange;
  const level = (query.get('log_level') || 'info').toLowerCase();
  if (!isLevel(level)) throw badRequest(`Unknown log level: ${level}; it is one of ${LOG_LEVELS.join(', ')}`);
  const json = flag(query, 'log_json');
  const nodeId = query.get('node_id') ?? '';
  if (query.get('server_id')) {
    const how = 'ask the agent of that server itself (-address), or one of its nodes by node_id';
    throw new MeshError('E_NOT_SUPPORTED', `logs of a server are not passed on by another: ${how}`);
  }
  const how = { plain: flag(query, 'plain'), follow: true };
  if (nodeId !== '') {
    const args = { ...exchange.reading(), NodeID: nodeId, LogLevel: level, LogJSON: json };
    await sendStream(exchange, openStream(exchange, 'Agent.Monitor', args), how);
    return;
  }
  const lines = new PassThrough({ objectMode: true });
  exchange.signal.addEventListener('abort', () => lines.destroy(), { once: true });
  exchange.agent.followLog({ level, json }, lines);
  await sendStream(exchange, lines, how);
}

function isLevel(text: string): text is LogLevel {
  return (LOG_LEVELS as readonly string[]).includes(text);
}
