import { isAlive } from './memory.js';
import { faultsText } from './quality.js';
import { type Action, named } from './step.js';
import { type Scene, seconds, type Target, unfitness } from './target.js';
import type { ServerView } from './view.js';

/** What a server is wanted to be, and why: a sentence for `meshnomad server why`. */
export interface Reason {
  readonly wanted: 'voter' | 'standby' | 'plain' | 'gone';
  readonly text: string;
}

/** A reason for each server of the view, by id. */
export function reasonsFor(scene: Scene, target: Target, action: Action | null): Map<string, Reason> {
  return new Map(scene.view.servers.map((server) => [server.id, reasonFor(server, { scene, target, action })]));
}

interface Choice {
  readonly scene: Scene;
  readonly target: Target;
  readonly action: Action | null;
}

function reasonFor(server: ServerView, choice: Choice): Reason {
  const { scene, target, action } = choice;
  if (action?.id === server.id && action.type !== 'handOver') return { wanted: wantedBy(action), text: action.reason };
  if (!server.belongs) return { wanted: 'gone', text: 'it is no member of the mesh any more' };
  if (target.voters.includes(server)) return { wanted: 'voter', text: whyVoter(server, choice) };
  if (server.group === 'none') return { wanted: 'plain', text: whyPlain(server) };
  return { wanted: 'standby', text: whyStandby(server, scene, target) };
}

function wantedBy({ type }: Action): Reason['wanted'] {
  if (type === 'promote') return 'voter';
  return type === 'release' ? 'gone' : 'standby';
}

function whyVoter(server: ServerView, { scene, target, action }: Choice): string {
  const { view, limits } = scene;
  const size = sizeText(target);
  if (server.group !== 'voter') return `it is to vote: ${size}`;
  if (!isAlive(server, view, limits)) {
    const silent = `it has not been heard for ${seconds(server.lastContactMs)}`;
    if (!target.dead.includes(server)) return `it votes, but ${silent}`;
    return `it votes, but ${silent}: no standby can take its place yet, and the others would survive no more without it`;
  }
  const faults = faultsText(server);
  const text = `${server.id === view.leader ? 'it leads' : 'it votes'}: ${size}${faults === '' ? '' : `; ${faults}`}`;
  return action?.type === 'handOver' && server.id === view.leader ? `${text}; ${action.reason}` : text;
}

function whyPlain(server: ServerView): string {
  if (server.gossip !== 'alive') return `it keeps no state: it is not reached (${server.gossip})`;
  const why = server.neverVotes ? 'its configuration says mesh { voter = "never" }' : 'there are standbys enough';
  return `it reads what the others decide from their feed: ${why}`;
}

function whyStandby(server: ServerView, scene: Scene, target: Target): string {
  if (server.group === 'voter') return `it is to vote no more: ${sizeText(target)}`;
  const unfit = unfitness(server, scene);
  if (unfit !== null) return `it does not vote: ${unfit}`;
  const rivals = target.voters.map(named).join(', ');
  const count = target.voters.length;
  if (target.able === 2)
    return `it is ready to vote: of two voters either could stop the mesh, so ${rivals} votes alone`;
  if (target.able < scene.limits.votersMax || target.able % 2 === 0) {
    return `it is ready to vote: ${target.able} servers can, and an odd number of them votes, ${count}: ${rivals}`;
  }
  return `it is ready to vote: ${count} voters are enough: ${rivals}`;
}

function sizeText({ able, voters }: Target): string {
  const servers = able === 1 ? 'one server can' : `${able} servers can`;
  return `${servers}, which makes ${voters.length} ${voters.length === 1 ? 'voter' : 'voters'}`;
}
