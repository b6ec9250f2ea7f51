import type { Entry, Membership, Message, Raft, Ready } from '../../lib/raft/index.js';
import { decodeMembership } from '../../lib/raft/index.js';
import { assertNever } from '../../lib/util/assert.js';
import type { ScriptNode } from './script.js';

// How a transcript shows things: entries as index/term, messages as "a>b append …".

function printMembership({ voters, learners }: Membership): string {
  return `{${voters.join(' ')}${learners.length > 0 ? ` + ${learners.join(' ')}` : ''}}`;
}

function printEntry({ index, term, type, data }: Entry): string {
  const name = `${index}/${term}`;
  if (type === 'noop') return `${name} opens`;
  if (type === 'config') return `${name} ${printMembership(decodeMembership(data))}`;
  if (data.length > 100) return `${name} of ${data.length} bytes`;
  return data.length === 0 ? name : `${name} ${new TextDecoder().decode(data)}`;
}

export function printEntries(entries: readonly Entry[]): string {
  return `[${entries.map(printEntry).join(', ')}]`;
}

export function printMessage(message: Message): string {
  return `${message.from}>${message.to} t${message.term} ${printBody(message)}`;
}

function printBody(message: Message): string {
  switch (message.type) {
    case 'append': {
      const { prevIndex, prevTerm, entries, commit } = message;
      return `append after ${prevIndex}/${prevTerm} ${printEntries(entries)} commit ${commit}`;
    }
    case 'appendResponse': {
      const { outcome } = message;
      if (outcome.ok) return `accepts up to ${outcome.match}`;
      return `refuses after ${outcome.index}, perhaps ${outcome.hintIndex}/${outcome.hintTerm}`;
    }
    case 'heartbeat':
      return `heartbeat commit ${message.commit} round ${message.round}`;
    case 'heartbeatResponse':
      return `heartbeatResponse round ${message.round}`;
    case 'vote':
      return `${message.pre ? 'trial' : 'vote'}? last ${message.lastIndex}/${message.lastTerm}${message.transfer ? ' by transfer' : ''}`;
    case 'voteResponse':
      return `${message.pre ? 'trial' : 'vote'} ${message.granted ? 'granted' : 'refused'}`;
    case 'snapshot':
      return `snapshot ${message.snapshot.index}/${message.snapshot.term} ${printMembership(message.snapshot.membership)}`;
    case 'timeoutNow':
      return 'stand now';
    case 'readIndex':
      return `read? ${message.context}`;
    case 'readIndexResponse':
      return `read ${message.context} at ${message.index}`;
    default:
      return assertNever(message);
  }
}

/** One line for each thing that the host is asked to do. */
export function printReady(id: string, ready: Ready): string[] {
  const { hardState, snapshot, entries, committed, reads } = ready;
  const lines: string[] = [];
  const say = (text: string): void => void lines.push(`${id}: ${text}`);
  say(`${ready.role} of term ${ready.term}${ready.leader === '' ? '' : `, leader ${ready.leader}`}`);
  if (hardState !== null) say(`keeps term ${hardState.term} vote ${hardState.vote || '-'} commit ${hardState.commit}`);
  if (snapshot !== null) say(`installs ${snapshot.index}/${snapshot.term} ${printMembership(snapshot.membership)}`);
  if (entries.length > 0) say(`writes ${printEntries(entries)}`);
  if (committed.length > 0) say(`applies ${printEntries(committed)}`);
  for (const { context, index } of reads) say(`may read ${context} at ${index}`);
  if (ready.messages.length > 0) say(`sends ${ready.messages.length} at once`);
  if (ready.messagesAfterPersist.length > 0) say(`sends ${ready.messagesAfterPersist.length} once written`);
  return lines;
}

export function printState({ id, raft, disk, applied }: ScriptNode): string {
  if (raft === null) return `${id}: down`;
  const { role, term, leader, lastIndex, committed, membership } = raft;
  const vote = disk.hardState.vote || '-';
  const log = `log ${disk.firstIndex()}-${lastIndex}/${disk.term(lastIndex) ?? '?'} commit ${committed} applied ${applied}`;
  return `${id}: ${role} term ${term} vote ${vote} leader ${leader || '-'} ${log} ${printMembership(membership)}`;
}

export function printFollowers(raft: Raft): string[] {
  return raft
    .followers()
    .map(({ id, match, state, active }) => `${id}: ${state} match ${match}${active ? '' : ' silent'}`);
}
