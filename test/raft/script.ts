import type { Entry, Message, Ready } from '../../lib/raft/index.js';
import { encodeMembership, Raft } from '../../lib/raft/index.js';
import type { MembershipChange } from '../../lib/raft/membership.js';
import { SimDisk } from './disk.js';
import { printEntries, printFollowers, printMessage, printReady, printState } from './transcript.js';

/** Ticks of the servers of a script: few, so that scripts stay short. */
const ELECTION_TICKS = 6;
const HEARTBEAT_TICKS = 2;

/** A server of a script. Its disk survives a crash. */
export interface ScriptNode {
  readonly id: string;
  readonly disk: SimDisk;
  /** Which of the time-outs between one and two elections it has drawn, in [0, 1). */
  readonly draw: number;
  raft: Raft | null;
  /** Handed out, not yet written. */
  held: Ready | null;
  applied: number;
}

/**
 * Runs scripts in which a person moves every message by hand, and writes down what happens. A script is lines of commands:
 *
 *     nodes a b c [learns=d]      servers with membership in entry 1; their patience is 6, 7, 8 … ticks
 *     node d                      an empty server, member of nothing yet
 *     log a 1 2 2 [term=3 vote=b commit=2 size=9]   a server with these terms from entry 2 on
 *     tick a [n]      campaign a      propose a text…      change a +v|+l|-d      transfer a b      read a 7
 *     ready a         one round: write, send, apply        hold a / persist a: the same in two steps, to crash between
 *     deliver [a>b] [type]        hands over what is under way          drop, twice: the same, lost or doubled
 *     settle          rounds and deliveries until nothing moves
 *     crash a [lose]  restart a   lose: what was held did not reach the disk   cut a b, mend: links
 *     snapshot a [keep]           of all that is applied, and forgets the log but for `keep` entries
 *     state [a]   log? a   followers a   flying
 *     quiet / loud                whether to write down
 */
export class Script {
  readonly nodes = new Map<string, ScriptNode>();
  flying: Message[] = [];
  readonly #cut = new Set<string>();
  #lines: string[] = [];
  #loud = true;

  /** Runs one line; returns what there is to tell. */
  run(line: string): string[] {
    this.#lines = [];
    const [verb = '', ...words] = line.split(/\s+/);
    const command = this.#commands[verb];
    if (command === undefined) throw new Error(`no such command: ${line}`);
    const wasLoud = this.#loud;
    command(words);
    return wasLoud && this.#loud ? this.#lines : [];
  }

  readonly #commands: Record<string, (words: string[]) => void> = {
    nodes: (words) => this.#found(words),
    node: ([id = '']) => this.#add(id, new SimDisk()),
    log: (words) => this.#presetLog(words),
    tick: ([id = '', times = '1']) => this.#tick(id, Number(times)),
    campaign: ([id]) => this.#raft(id).campaign(),
    propose: ([id, ...text]) => this.#tell(this.#raft(id).propose(new TextEncoder().encode(text.join(' ')))),
    change: ([id, change = '']) => this.#tell(this.#raft(id).proposeChange(parseChange(change))),
    transfer: ([id, to = '']) => this.#tell(this.#raft(id).transferLeadership(to)),
    read: ([id, context]) => this.#tell(this.#raft(id).readIndex(Number(context))),
    ready: ([id = '']) => this.#round(this.#node(id)),
    hold: ([id = '']) => this.#hold(this.#node(id)),
    persist: ([id = '']) => this.#persist(this.#node(id)),
    deliver: (words) => this.#move(words, 'deliver'),
    drop: (words) => this.#move(words, 'drop'),
    twice: (words) => this.#move(words, 'twice'),
    settle: () => this.#settle(),
    crash: ([id = '', how]) => this.#crash(this.#node(id), how === 'lose'),
    restart: ([id = '']) => this.#restart(this.#node(id)),
    cut: ([a, b]) => this.#cut.add(`${a}>${b}`).add(`${b}>${a}`),
    mend: () => this.#cut.clear(),
    snapshot: ([id = '', keep = '0']) => this.#snapshot(this.#node(id), Number(keep)),
    state: ([id]) => this.#each(id, (node) => this.#say(printState(node))),
    'log?': ([id = '']) => this.#say(printLog(this.#node(id).disk)),
    followers: ([id]) => this.#say(...printFollowers(this.#raft(id))),
    flying: () => this.#say(...this.flying.map(printMessage)),
    quiet: () => this.#setLoud(false),
    loud: () => this.#setLoud(true),
  };

  #setLoud(loud: boolean): void {
    this.#loud = loud;
  }

  #say(...lines: string[]): void {
    this.#lines.push(...lines);
  }

  #tell(result: { ok: true; value: unknown } | { ok: false; error: { kind: string } }): void {
    if (!result.ok) this.#say(`refused: ${Object.values(result.error).join(' ')}`.trimEnd());
    else this.#say(result.value === undefined ? 'ok' : `entry ${String(result.value)}`);
  }

  #node(id: string): ScriptNode {
    const node = this.nodes.get(id);
    if (node === undefined) throw new Error(`no server ${id}`);
    return node;
  }

  #raft(id: string | undefined): Raft {
    const { raft } = this.#node(id ?? '');
    if (raft === null) throw new Error(`${id} is down`);
    return raft;
  }

  #each(id: string | undefined, visit: (node: ScriptNode) => void): void {
    for (const node of id === undefined || id === 'all' ? this.nodes.values() : [this.#node(id)]) visit(node);
  }

  #found(words: string[]): void {
    const voters = words.filter((word) => !word.includes('='));
    const learners = (words.find((word) => word.startsWith('learns='))?.slice(7) ?? '').split(',').filter(Boolean);
    for (const id of [...voters, ...learners]) {
      const disk = new SimDisk();
      disk.append([{ index: 1, term: 1, type: 'config', data: encodeMembership({ voters, learners }) }]);
      disk.hardState = { term: 1, vote: '', commit: 1 };
      this.#add(id, disk);
    }
  }

  #add(id: string, disk: SimDisk): void {
    const draw = (this.nodes.size % ELECTION_TICKS) / ELECTION_TICKS + 0.01;
    const node: ScriptNode = { id, disk, draw, raft: null, held: null, applied: 0 };
    this.nodes.set(id, node);
    this.#restart(node);
  }

  #presetLog([id = '', ...words]: string[]): void {
    const node = this.#node(id);
    const terms = words.filter((word) => !word.includes('=')).map(Number);
    const given = new Map(
      words.filter((word) => word.includes('=')).map((word) => word.split('=') as [string, string]),
    );
    const data = new Uint8Array(Number(given.get('size') ?? 0));
    node.disk.append(terms.map((term, i): Entry => ({ index: i + 2, term, type: 'command', data })));
    node.disk.hardState = {
      term: Number(given.get('term') ?? Math.max(1, ...terms)),
      vote: given.get('vote') ?? '',
      commit: Number(given.get('commit') ?? 1),
    };
    this.#restart(node);
  }

  #tick(id: string, times: number): void {
    for (let i = 0; i < times; i++) this.#each(id, (node) => node.raft?.tick());
  }

  #hold(node: ScriptNode): void {
    const raft = this.#raft(node.id);
    if (!raft.hasReady()) {
      this.#say(`${node.id}: nothing to do`);
      return;
    }
    const ready = raft.ready();
    node.held = ready;
    this.#say(...printReady(node.id, ready));
    this.flying.push(...ready.messages);
    node.applied = ready.committed.at(-1)?.index ?? node.applied;
  }

  #persist(node: ScriptNode): void {
    const { held, disk } = node;
    if (held === null) throw new Error(`${node.id} has nothing to write`);
    this.#write(disk, held);
    if (held.snapshot !== null) node.applied = held.snapshot.index;
    this.flying.push(...held.messagesAfterPersist);
    node.held = null;
    this.#raft(node.id).advance();
  }

  #write(disk: SimDisk, ready: Ready): void {
    if (ready.snapshot !== null) {
      disk.snapshot = { meta: ready.snapshot, digest: 0, register: '' };
      disk.reset(ready.snapshot);
    }
    if (ready.hardState !== null) disk.hardState = ready.hardState;
    disk.append(ready.entries);
  }

  #round(node: ScriptNode): void {
    this.#hold(node);
    if (node.held !== null) this.#persist(node);
  }

  #move(words: string[], how: 'deliver' | 'drop' | 'twice'): void {
    const link = words.find((word) => word.includes('>'));
    const type = words.find((word) => !word.includes('>'));
    const isMeant = (message: Message): boolean =>
      (link === undefined || link === `${message.from}>${message.to}`) && (type === undefined || message.type === type);
    const moved = this.flying.filter(isMeant);
    this.flying = this.flying.filter((message) => !isMeant(message));
    for (const message of moved) {
      this.#hand(message, how);
      if (how === 'twice') this.#hand(message, how);
    }
  }

  #hand(message: Message, how: 'deliver' | 'drop' | 'twice'): void {
    const to = this.nodes.get(message.to)?.raft ?? null;
    const isLost = how === 'drop' || to === null || this.#cut.has(`${message.from}>${message.to}`);
    this.#say(`${isLost ? 'lost ' : ''}${printMessage(message)}`);
    if (message.type === 'snapshot') this.nodes.get(message.from)?.raft?.reportSnapshot(message.to, !isLost);
    if (!isLost) to.step(message);
  }

  #settle(): void {
    for (let rounds = 0; rounds < 100; rounds++) {
      for (const node of this.nodes.values()) while (node.raft?.hasReady()) this.#round(node);
      if (this.flying.length === 0) return;
      this.#move([], 'deliver');
    }
    throw new Error('it never settles');
  }

  #crash(node: ScriptNode, lose: boolean): void {
    if (node.held !== null && !lose) this.#write(node.disk, node.held);
    node.held = null;
    node.raft = null;
  }

  #restart(node: ScriptNode): void {
    const { disk, id, draw } = node;
    node.applied = disk.latest()?.index ?? 0;
    node.raft = new Raft({
      id,
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: HEARTBEAT_TICKS,
      random: { next: () => draw },
      log: disk,
      snapshots: disk,
      hardState: disk.hardState,
      applied: node.applied,
    });
  }

  #snapshot({ id, disk, applied }: ScriptNode, keep: number): void {
    const term = disk.term(applied);
    if (term === undefined || applied === 0) throw new Error(`${id} has applied nothing`);
    const raft = this.#raft(id);
    disk.snapshot = { meta: { index: applied, term, membership: raft.membershipAt(applied) }, digest: 0, register: '' };
    disk.compact(applied - keep);
    raft.compacted(applied - keep);
  }
}

function parseChange(text: string): MembershipChange {
  if (text.startsWith('+v')) return { type: 'addVoter', id: text.slice(2) };
  if (text.startsWith('+l')) return { type: 'addLearner', id: text.slice(2) };
  return { type: 'remove', id: text.slice(1) };
}

function printLog(disk: SimDisk): string {
  const entries = disk.entries(disk.firstIndex(), disk.lastIndex(), Number.MAX_SAFE_INTEGER);
  return `entries ${disk.firstIndex()} to ${disk.lastIndex()}: ${printEntries(entries)}`;
}
