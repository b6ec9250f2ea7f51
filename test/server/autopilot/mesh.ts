import { Autopilot, type Decision } from '../../../lib/server/autopilot/autopilot.js';
import type { Action } from '../../../lib/server/autopilot/step.js';
import type { ServerView, View } from '../../../lib/server/autopilot/view.js';
import { type AutopilotConfiguration, DEFAULT_AUTOPILOT } from '../../../lib/structs/operator.js';

/** A server of the simulated mesh. */
export interface SimServer {
  readonly id: string;
  group: ServerView['group'];
  belongs: boolean;
  neverVotes: boolean;
  /** Null while it runs, else when it died. */
  diedMs: number | null;
  trailing: number;
  syncMs: number;
  rttMs: number;
  relayed: boolean;
  wired: boolean;
  mains: boolean;
}

/** Servers, a clock, and elections as simple as can be: whoever can, leads. */
export class SimMesh {
  now = 1_000_000;
  leader = '';
  config: AutopilotConfiguration = DEFAULT_AUTOPILOT;
  readonly servers: SimServer[] = [];
  readonly actions: Action[] = [];
  #autopilot = new Autopilot();

  constructor(voters: number) {
    for (let i = 0; i < voters; i++) this.add({ group: 'voter' });
    this.elect();
  }

  add(changes: Partial<SimServer> = {}): SimServer {
    const id = `s${this.servers.length}`;
    const server: SimServer = {
      id,
      group: 'none',
      belongs: true,
      neverVotes: false,
      diedMs: null,
      trailing: 0,
      syncMs: 2,
      rttMs: 5,
      relayed: false,
      wired: true,
      mains: true,
      ...changes,
    };
    this.servers.push(server);
    return server;
  }

  get(id: string): SimServer {
    const found = this.servers.find((server) => server.id === id);
    if (!found) throw new Error(`no server ${id}`);
    return found;
  }

  get voters(): SimServer[] {
    return this.servers.filter(({ group }) => group === 'voter');
  }
  get living(): SimServer[] {
    return this.servers.filter(({ diedMs }) => diedMs === null);
  }
  get hasQuorum(): boolean {
    const alive = this.voters.filter(({ diedMs }) => diedMs === null).length;
    return alive * 2 > this.voters.length;
  }

  /** Somebody leads if a majority lives. */
  elect(pick: (candidates: SimServer[]) => SimServer | undefined = ([first]) => first): void {
    const candidates = this.voters.filter(({ diedMs, trailing }) => diedMs === null && trailing === 0);
    const leader = this.hasQuorum ? (pick(candidates)?.id ?? '') : '';
    if (leader !== this.leader) this.#autopilot = new Autopilot();
    this.leader = leader;
  }

  view(): View {
    return {
      leader: this.leader,
      // Written out: copying by spread takes most of the time of thousands of seeds.
      servers: this.servers.map((server) => ({
        id: server.id,
        name: server.id,
        group: server.group,
        belongs: server.belongs,
        version: '0.0.0',
        told: true,
        neverVotes: server.neverVotes,
        trailing: server.trailing,
        syncMs: server.syncMs,
        rttMs: server.rttMs,
        relayed: server.relayed,
        wired: server.wired,
        mains: server.mains,
        gossip: server.diedMs === null ? 'alive' : 'dead',
        lastContactMs: server.group === 'none' ? null : server.diedMs === null ? 100 : this.now - server.diedMs,
      })),
    };
  }

  /** A second passes; the leader looks once, and what it decides is done. */
  tick(): Decision | null {
    this.now += 1_000;
    // Whoever runs and receives the log catches up.
    for (const server of this.living) {
      if (server.group === 'voter') server.trailing = Math.max(0, server.trailing - 10_000);
    }
    const leads = this.leader !== '' && this.get(this.leader).diedMs === null && this.hasQuorum;
    if (!leads || this.get(this.leader).group !== 'voter') this.elect();
    if (this.leader === '') return null;
    const decision = this.#autopilot.decide(this.view(), this.config, this.now);
    if (decision.action) this.#act(decision.action);
    return decision;
  }

  /** So many ticks; what was done in them. */
  run(ticks: number): Action[] {
    const before = this.actions.length;
    for (let i = 0; i < ticks; i++) this.tick();
    return this.actions.slice(before);
  }

  #act(action: Action): void {
    this.actions.push(action);
    const server = this.get(action.id);
    if (action.type === 'standby' || action.type === 'demote') server.group = 'learner';
    if (action.type === 'promote') server.group = 'voter';
    if (action.type === 'release') server.group = 'none';
    if (action.type === 'handOver') {
      this.leader = action.id;
      this.#autopilot = new Autopilot();
    }
  }
}

export const names = (servers: readonly SimServer[]): string =>
  servers
    .map(({ id }) => id)
    .sort()
    .join(' ');
