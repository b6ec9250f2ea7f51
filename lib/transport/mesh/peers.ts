import { MeshError } from '../../structs/errors.js';
import type { LinkReport, NetReport, NodeKey } from '../../structs/mesh.js';
import { err } from '../../util/result.js';
import type { Connection, Discovery, Sighting } from '../network.js';
import type { DatagramChannel, Peer, Peers } from '../peers.js';
import type { RpcCaller } from '../rpc.js';
import { type Address, parseAddress } from '../tcp.js';
import { mayAsk } from './access.js';
import { type CallerOptions, memberCaller, roomyLink } from './caller.js';
import { Carrier } from './carrier.js';
import { DIAL_TIMEOUT_MS, Dialler } from './dialler.js';
import { Door } from './door.js';
import { Greeter } from './greeter.js';
import { type Greeted, HELLO_TIMEOUT_MS } from './handshake.js';
import { type LinkKind, parseChain } from './hello.js';
import { LiveLink } from './live-link.js';
import type { Member } from './member.js';
import { MemberTable } from './member-table.js';
import { Notices } from './notices.js';
import type { PeersOptions } from './options.js';
import { LARGE_ANSWER_BYTES, ParkedAnswers } from './parking.js';
import { linkReport, netReport } from './report.js';
import { Router } from './router.js';
import { Strangers } from './strangers.js';
import { Watch } from './watch.js';

/** A hub that is silent so long may be gone. */
const HUB_SILENT_MS = 3_500;
/** Carried links are tried directly again so often. */
const IMPROVE_EVERY_TICKS = 60;
/** A member that is away for days is no news. */
const ABSENT_EVERY_MS = 600_000;
/** Between the moment a member has left and the end of its links. */
const GOODBYE_MS = 1_000;
/** Ticks come once a second. */
const TOPICS_EVERY_TICKS = 60;

/** The link manager: everybody who belongs to the mesh, over any network. Nothing happens before start(). */
export function createPeers(options: PeersOptions): Peers {
  return new MeshPeers(options);
}

type LinkListener = (peer: Peer, up: boolean) => void;

class MeshPeers implements Peers {
  readonly key: NodeKey;
  readonly #options: PeersOptions;
  readonly #members: MemberTable;
  readonly #notices: Notices;
  readonly #parked: ParkedAnswers;
  readonly #router: Router;
  readonly #door: Door;
  readonly #strangers: Strangers;
  readonly #greeter: Greeter;
  readonly #watch: Watch;
  readonly #listeners: LinkListener[] = [];
  readonly #dialler: Dialler;
  readonly #carrier: Carrier;
  #discovery: Discovery | undefined;
  #topics = '';
  /** Of our own certificate that others were shown. */
  #serial = 0;
  #ownKeySeen = false;
  #ticks = 0;
  #started = false;
  #closed = false;

  constructor(options: PeersOptions) {
    const { network, clock, roster } = options;
    this.#options = options;
    this.key = network.key;
    this.#members = new MemberTable({
      own: this.key,
      clock,
      random: options.random,
      roster,
      isOpen: () => this.#started && !this.#closed,
      dial: (key, kind, signal, attempt) => this.#dial(key, kind, signal, attempt),
    });
    this.#notices = new Notices(clock, options.log);
    this.#parked = new ParkedAnswers(clock);
    this.#greeter = new Greeter(options);
    this.#router = new Router({
      ...this.#ways(),
      own: this.key,
      roster,
      notices: this.#notices,
      hubs: () =>
        this.#members
          .controls()
          .filter(({ claims, link }) => claims.Role === 'server' && link.silentMs < HUB_SILENT_MS),
      isHub: () => this.#options.certificate().claims.Role === 'server',
      open: (key, kind, waitMs) => this.#members.link(key, kind, waitMs),
    });
    this.#door = new Door({
      own: this.key,
      clock,
      roster,
      notices: this.#notices,
      greet: async (connection) => {
        const greeted = await this.#greeter.greet(connection, 'control', HELLO_TIMEOUT_MS);
        this.#take(greeted, greeted.hello.link);
      },
      linked: (key) => this.#members.up(key, 'control') !== undefined,
      join: (connection) => {
        if (options.onJoin) options.onJoin(connection);
        else void this.#carrier.carryJoiner(connection);
      },
      ownKeySeen: () => this.#sawOwnKey(),
    });
    this.#dialler = new Dialler({
      network,
      addressBook: options.addressBook,
      ...this.#ways(),
      relays: (key) => this.#members.relays(key),
      carried: (key, signal) => this.#carrier.dial(key, signal),
      greet: async (connection, kind, timeoutMs) =>
        this.#take(await this.#greeter.greet(connection, kind, timeoutMs), kind),
    });
    this.#carrier = new Carrier({
      own: this.key,
      network,
      roster,
      controls: () => this.#members.controls(),
      known: () => this.#knownPlaces(),
      ...this.#ways(),
      admit: (key) => this.#admit(key),
      open: (connection) => this.#open(connection),
    });
    this.#strangers = new Strangers({
      network: options.network,
      greeter: this.#greeter,
      clock,
      notices: this.#notices,
      vouch: (claims) => options.vouch?.(claims),
      isLost: () =>
        !this.#closed &&
        options.vouch !== undefined &&
        this.#options.certificate().claims.Role !== 'server' &&
        !this.#members.controls().some(({ claims }) => claims.Role === 'server'),
      met: (greeted) => this.#take(greeted, 'control'),
    });
    this.#watch = new Watch({
      clock,
      expected: () => this.#members.keptControls(),
      alarm: (reason, asleep) => this.#lookAround(reason, asleep),
      tick: () => this.#tick(),
    });
  }

  async start(): Promise<void> {
    const { network, roster, relay } = this.#options;
    this.#started = true;
    this.#serial = this.#options.certificate().claims.Serial;
    roster.onChange(() => this.#onRoster());
    network.onChange(() => this.#lookAround('the addresses of this machine changed', true));
    await network.listen({
      admit: (key) => this.#admit(key),
      relays: () => this.#members.relays(this.key),
      onConnection: (connection) => this.#open(connection),
    });
    if (relay) await network.serveRelay((key) => roster.find(key)?.status === 'admitted');
    this.#discover();
    this.#watch.start();
    for (const [, member] of this.#members.all()) member.lanes.control.pump();
  }

  linked(): readonly Peer[] {
    return this.#members.controls().map((live) => this.#peer(live));
  }

  onLink(listener: LinkListener): void {
    this.#listeners.push(listener);
  }

  caller(key: NodeKey): RpcCaller {
    const { handlers, streamHandlers } = this.#options;
    return memberCaller(key, { own: this.key, handlers, streamHandlers, ...this.#ways() });
  }

  keep(keys: readonly NodeKey[]): void {
    this.#members.keep(keys);
  }

  send(key: NodeKey, channel: DatagramChannel, data: Uint8Array): void {
    if (!this.#closed) this.#router.send(key, channel, data);
  }

  onDatagram(channel: DatagramChannel, listener: (from: NodeKey, data: Uint8Array) => void): void {
    this.#router.listen(channel, listener);
  }

  learn(key: NodeKey, addresses: readonly Address[]): void {
    if (key !== this.key && addresses.length > 0) this.#options.addressBook.add(key, addresses);
  }

  addresses(): readonly Address[] {
    return this.#greeter.addresses();
  }

  place(): ReturnType<Peers['place']> {
    const { nat } = this.#options.network.report();
    return { addresses: this.#greeter.addresses(), nat, relays: this.#greeter.relays() };
  }

  report(): NetReport {
    const { network, clock } = this.#options;
    const nat = network.report();
    const linked = this.#members
      .controls()
      .map((control) => ({ control, bulk: this.#members.up(control.key, 'bulk') }));
    return netReport({
      key: this.key,
      nat,
      relays: this.#greeter.relays(),
      linked,
      nowMs: clock.monotonicMs(),
      noticed: [
        ...(this.#ownKeySeen
          ? ['another machine uses the key of this one: its disk was copied; join again with -replace on one of them']
          : []),
        ...[...this.#members.all()].flatMap(([, { copied, name }]) =>
          copied ? [`two machines use the key of ${name}: a disk was copied; revoke it and join again`] : [],
        ),
      ],
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watch.stop();
    this.#parked.clear();
    const reason = new MeshError('E_TIMEOUT', 'this agent shuts down');
    for (const [, member] of this.#members.all()) member.close(reason);
    // It ends its discoveries itself, and waits less for a DHT that does not answer than they would.
    await this.#options.network.close();
  }

  async #admit(key: NodeKey): Promise<boolean> {
    return !this.#closed && this.#door.admit(key);
  }

  #open(connection: Connection): void {
    if (this.#closed) connection.stream.destroy();
    else this.#door.open(connection);
  }

  #peer(live: LiveLink): Peer {
    const own = this.key;
    const { clock } = this.#options;
    const bulk = (): LiveLink | undefined => this.#members.up(live.key, 'bulk');
    return {
      key: live.key,
      claims: live.claims,
      get report(): LinkReport {
        return linkReport(own, { control: live, bulk: bulk() }, clock.monotonicMs());
      },
    };
  }

  /** How calls get at links. */
  #ways(): Pick<CallerOptions, 'clock' | 'streamsOver' | 'link' | 'up'> {
    return {
      clock: this.#options.clock,
      streamsOver: this.#options.streamsOver ?? 'bulk',
      link: (key, kind, waitMs, signal) => this.#members.link(key, kind, waitMs, signal),
      up: (key, kind) => this.#members.up(key, kind),
    };
  }

  /** Members that may be reached without being looked for, in an order of chance: each dial asks others. */
  #knownPlaces(): NodeKey[] {
    const { roster, addressBook, random } = this.#options;
    const known = roster
      .members()
      .filter((key) => key !== this.key && roster.find(key)?.role !== 'operator' && addressBook.find(key).length > 0);
    const from = Math.floor(random.next() * known.length);
    return [...known.slice(from), ...known.slice(0, from)];
  }

  async #dial(key: NodeKey, kind: LinkKind, signal: AbortSignal, attempt: number): Promise<void> {
    if (this.#options.roster.find(key)?.status !== 'admitted') throw new Error('it is no member');
    try {
      await this.#dialler.dial(key, kind, signal, attempt);
    } catch (error) {
      if (this.#members.isKept(key) && !signal.aborted)
        this.#notices.say('info', key, 'no link to a member', (error as Error).message, ABSENT_EVERY_MS);
      throw error;
    }
  }

  /** A connection passed the hello: the one place where links come up. */
  #take(greeted: Greeted, kind: LinkKind): void {
    const { connection, hello } = greeted;
    // Between the check and now it may have been revoked.
    if (this.#closed || this.#options.roster.find(connection.remoteKey)?.status !== 'admitted') {
      connection.stream.destroy();
      return;
    }
    const member = this.#members.of(connection.remoteKey);
    const former = member.lanes[kind].live;
    const preferred = member.prefers(greeted, kind, this.key);
    const live = this.#liveLink(greeted, kind);
    if (!preferred) {
      // The other side may have sent by it already, and sees only later that both have dialled.
      member.retire(live, true);
      return;
    }
    const person = live.claims.Role === 'operator' && !connection.dialled;
    if (!person && member.met(live)) {
      this.#notices.say('warn', live.key, 'two machines use one key', `a disk of ${live.claims.Name} was copied`);
    }
    const again = former?.hello.instance === hello.instance;
    if (former && person) member.putBeside(former);
    else if (former) member.retire(former, again);
    member.lanes[kind].up(live);
    this.#learnFrom(live);
    this.#members.pace(live);
    if (kind === 'control' && !(former && again)) this.#tell(live, true);
  }

  #liveLink(greeted: Greeted, kind: LinkKind): LiveLink {
    const { clock, handlers, streamHandlers, clientApi = false } = this.#options;
    return new LiveLink(greeted, {
      kind,
      nowMs: clock.monotonicMs(),
      ownNow: clock.now(),
      link: { handlers, streamHandlers, clock, onClose: (reason) => this.#lost(greeted.connection, kind, reason) },
      mesh: (live) => ({
        mayAsk: (method) =>
          mayAsk(method, { role: live.claims.Role, expired: live.claims.NotAfter < clock.now(), clientApi }),
        ownStreams: this.#carrier.handlers,
        onDatagram: (id, data) => this.#router.receive(live, id, data),
        onCertificate: (body) => this.#renewed(live, body),
        parking:
          kind === 'bulk'
            ? undefined
            : {
                aboveBytes: LARGE_ANSWER_BYTES,
                park: (frame) => this.#parked.park(live.key, frame),
                fetch: async (token, bytes) => {
                  const need = { bytes: bytes >= 0 ? bytes : Number.POSITIVE_INFINITY, waitMs: DIAL_TIMEOUT_MS };
                  const roomy = await roomyLink(live.key, this.#ways(), need);
                  roomy.usedAtMs = clock.monotonicMs();
                  return roomy.link.take(token);
                },
              },
        unpark: (token) => this.#parked.take(live.key, token),
        pingWishMs: () => this.#members.beatMs(),
      }),
    });
  }

  #lost(connection: Connection, kind: LinkKind, reason: string): void {
    const member = this.#members.get(connection.remoteKey);
    const live = member?.lanes[kind].live;
    if (!member || !live?.is(connection)) return;
    if (kind === 'control') {
      if (!this.#closed)
        this.#notices.say('info', live.key, 'lost the link to a member', `${live.claims.Name}: ${reason}`);
      this.#tell(live, false);
      member.closeBulkIfSilent();
    }
    member.lanes[kind].lost(live);
  }

  #tell(live: LiveLink, up: boolean): void {
    const peer = this.#peer(live);
    for (const listener of this.#listeners) listener(peer, up);
  }

  #learnFrom({ key, path, hello }: LiveLink): void {
    const seen = path.Kind === 'relayed' ? undefined : parseAddress(path.Address, 0);
    this.learn(key, seen && seen.port > 0 ? [seen, ...hello.addresses] : hello.addresses);
  }

  #renewed(live: LiveLink, body: Record<string, unknown>): void {
    const chain = parseChain(body['Chain']);
    const claims = chain ? this.#greeter.check(live.key, chain) : err('no certificates');
    if (!claims.ok) throw new Error(`a renewed certificate that is none: ${claims.error}`);
    // An old one, sent again, takes nothing back.
    if (claims.value.Serial >= live.claims.Serial) live.claims = claims.value;
  }

  #outUnlessBack(key: NodeKey, member: Member): void {
    if (this.#options.roster.find(key)?.status !== 'admitted') member.out('the member has left');
  }

  #onRoster(): void {
    const { roster, clock } = this.#options;
    for (const [key, member] of this.#members.all()) {
      const status = roster.find(key)?.status;
      if (status === 'admitted') member.lanes.control.pump();
      // Who goes of its own will is to hear that it may.
      else if (status === 'left') clock.setTimeout(GOODBYE_MS, () => this.#outUnlessBack(key, member));
      else member.out(`the member is ${status ?? 'unknown'} now`);
    }
    this.#discover();
  }

  #discover(): void {
    const { topics, network } = this.#options;
    if (!topics || this.#closed) return;
    const wanted = topics();
    const name = wanted.map((topic) => Buffer.from(topic).toString('hex')).join();
    if (name === this.#topics) return;
    this.#topics = name;
    void this.#discovery?.close();
    this.#discovery = network.discover(wanted, { announce: true, onFound: (found) => this.#found(found) });
  }

  #found(sighting: Sighting): void {
    const { key, addresses } = sighting;
    const status = this.#options.roster.find(key)?.status;
    if (this.#closed || key === this.key) return;
    if (status === undefined) this.#strangers.consider(sighting);
    if (status !== 'admitted') return;
    if (sighting.source === 'mdns') this.#carrier.meetNeighbour(key);
    this.learn(key, addresses);
    const member = this.#members.get(key);
    if (member && !member.lanes.control.live) member.lanes.control.retryNow();
  }

  #lookAround(reason: string, asleep: boolean): void {
    if (this.#closed) return;
    const { network, log } = this.#options;
    log.info('looking for members again', { reason });
    const failed = (error: Error): void => log.debug('the network was not refreshed', { why: error.message });
    network.refresh().catch(failed);
    this.#discovery?.refresh().catch(failed);
    this.#members.retryAll(asleep);
  }

  #tick(): void {
    this.#members.tick();
    this.#showRenewed();
    // Topics are those of the day.
    if (this.#ticks++ % TOPICS_EVERY_TICKS === 0) this.#discover();
    if (this.#ticks % IMPROVE_EVERY_TICKS === 0) this.#dialler.improve(this.#members.controls());
  }

  #showRenewed(): void {
    const { chain, claims } = this.#options.certificate();
    if (claims.Serial === this.#serial) return;
    this.#serial = claims.Serial;
    for (const [, member] of this.#members.all()) {
      for (const live of member.links()) live.link.showCertificate({ Chain: chain });
    }
  }

  #sawOwnKey(): void {
    this.#ownKeySeen = true;
    this.#notices.say('warn', this.key, 'two machines use one key', 'somebody connects with the key of this machine');
  }
}
