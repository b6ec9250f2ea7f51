import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '../client/client.js';
import type { HttpServer } from '../http/server.js';
import { createHttpServer } from '../http/server.js';
import {
  createDevices,
  createDrivers,
  type DeviceSet,
  DRIVER_NAMES,
  type DriverSet,
  openOtherPlugins,
  taskConfigProblems,
} from '../plugin/registry.js';
import type { DeviceProvider } from '../plugin/sdk/device.js';
import type { Driver, DriverOptions } from '../plugin/sdk/driver.js';
import type { RunningConsensus } from '../server/consensus.js';
import type { StateMachine } from '../server/ports.js';
import type { Server } from '../server/server.js';
import type { Lock } from '../storage/index.js';
import type { LinkReport, MeshRole, NodeKey } from '../structs/mesh.js';
import { nodeIdOf } from '../transport/certificate.js';
import { ensureIdentity, type Identity } from '../transport/identity.js';
import type { Link } from '../transport/link.js';
import { localCaller } from '../transport/local.js';
import type { RpcCaller } from '../transport/rpc.js';
import { isLoopback, type Listener, listenLinks } from '../transport/tcp.js';
import type { Log, LogListen } from '../util/log.js';
import type { Random } from '../util/random.js';
import { err, type Result } from '../util/result.js';
import type { AgentAutoscaler } from './autoscaler.js';
import { takeDataDir } from './data-dir.js';
import { createDispatcher, type Roles } from './dispatch.js';
import { agentFacts } from './facts.js';
import type { AgentFeed } from './feed.js';
import type { AgentMesh } from './mesh/agent-mesh.js';
import { createMetrics } from './metrics.js';
import { linkHandlers } from './node-links.js';
import { type RemoteServer, remoteServer } from './remote-server.js';
import { clientMetrics, serverMetrics } from './role-metrics.js';
import type { AgentSettings } from './settings.js';

/** Between the answer that it left and the end. */
const LEAVE_DELAY_MS = 200;

export interface AgentOptions {
  settings: AgentSettings;
  log: Log;
  /** For who follows the log from afar. */
  listen: LogListen;
  random: Random;
  /** Reads the configuration again and applies what can be applied; says what was, or what is wrong. */
  reload: (agent: Agent) => Promise<Result<string[], string>>;
  /** Ends the agent as a signal does; with `restart` its exit code asks whoever watches over it to start it again. */
  end: (why: string, options?: { restart: boolean }) => void;
}

/** A mesh, as one of its members sees it now. */
export interface MeshView {
  readonly name: string;
  readonly root: NodeKey;
  /** This machine's own name and role. */
  readonly own: { readonly name: string; readonly role: MeshRole };
  /** There is no other server to link with. */
  readonly alone: boolean;
  readonly links: readonly { readonly name: string; readonly role: MeshRole; readonly report: LinkReport }[];
}

/** A running agent: a server, a client, or both, and the HTTP API over them. */
export interface Agent {
  /** The port the HTTP API got. */
  readonly httpPort: number;
  readonly client: Client | undefined;
  /** Whatever role answers. */
  readonly rpc: RpcCaller;
  /** The mesh as it is seen from here; null for an agent that is in none. */
  mesh(): MeshView | null;
  /** Puts these in the place of the scaling policies of files. */
  reloadPolicies(dir: string | null): void;
  /** Ends in order; tasks go on running, unless the agent keeps no state. */
  shutdown(): Promise<void>;
}

/**
 * Starts an agent. The port of the HTTP API is taken first: nothing has begun when it is in use. Rejects with a message for
 * the user, and leaves nothing behind.
 */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const agent = new RunningAgent(options);
  try {
    await agent.start();
    return agent;
  } catch (error) {
    await agent.shutdown();
    throw error;
  }
}

class RunningAgent implements Agent {
  readonly #options: AgentOptions;
  readonly #roles: Roles = {};
  readonly rpc: RpcCaller;
  readonly #metrics = createMetrics();
  httpPort = 0;
  #http: HttpServer[] = [];
  #lock: Lock | undefined;
  #consensus: RunningConsensus | undefined;
  #feed: AgentFeed | undefined;
  #server: Server | undefined;
  #client: Client | undefined;
  #drivers: DriverSet | undefined;
  #devices: DeviceSet | undefined;
  #autoscaler: AgentAutoscaler | undefined;
  #listener: Listener | undefined;
  #remote: RemoteServer | undefined;
  #mesh: AgentMesh | undefined;
  /** This machine founded its mesh, and has not told the state of it yet. */
  #founds = false;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.rpc = createDispatcher(this.#roles, options.settings);
  }

  get client(): Client | undefined {
    return this.#client;
  }

  mesh(): MeshView | null {
    if (!this.#mesh) return null;
    const { roster, peers, servers } = this.#mesh.member;
    const { claims } = roster.own();
    return {
      name: roster.info().Name,
      root: roster.mesh,
      own: { name: claims.Name, role: claims.Role },
      alone: servers().length === 0,
      links: peers.linked().map(({ claims, report }) => ({ name: claims.Name, role: claims.Role, report })),
    };
  }

  async start(): Promise<void> {
    const { settings, log } = this.#options;
    if (settings.dataDir !== null) {
      this.#lock = takeDataDir(settings.dataDir, log, { runsTasks: settings.client !== null });
    }
    await this.#startHttp();
    const identity = ensureIdentity(settings.dataDir);
    await this.#openMesh(identity);
    if (settings.server) await this.#startServer(identity);
    if (settings.client) await this.#makeClient(identity);
    // Links come up once there is somebody to answer over them.
    await this.#mesh?.start();
    await this.#client?.start();
    log.info('agent started', {
      version: settings.version,
      api: `${settings.http.tls ? 'https' : 'http'}://${settings.http.hosts[0]}:${this.httpPort}`,
      server: settings.server !== null,
      client: settings.client !== null,
    });
  }

  async #leave(): Promise<Result<void, string>> {
    const mesh = this.#mesh;
    const { folder } = this.#options.settings.mesh;
    if (!mesh || folder === null) return err('This agent is in no mesh.');
    const { leaveMesh } = await import('./mesh/leave.js');
    const running = this.#client?.stats().allocs['running'] ?? 0;
    const left = await leaveMesh({ mesh, consensus: this.#consensus, running, folder });
    // The answer goes out first.
    if (left.ok) setTimeout(() => this.#options.end('it left its mesh'), LEAVE_DELAY_MS);
    return left;
  }

  async #startHttp(): Promise<void> {
    const { settings, log } = this.#options;
    const { hosts, port, connectionsPerAddressMax, headers, tls } = settings.http;
    const options = {
      rpc: this.rpc,
      agent: agentFacts({
        settings,
        metrics: this.#metrics,
        httpPort: () => this.httpPort,
        rpcPort: () => this.#listener?.port ?? settings.rpc.port,
        consensus: () => this.#consensus,
        client: () => this.#client,
        remote: () => this.#remote,
        net: () => this.#mesh?.member.net() ?? null,
        listen: this.#options.listen,
        leave: () => this.#leave(),
        reload: () => this.#options.reload(this),
      }),
      log: log.child('http'),
      connectionsPerAddressMax,
      headers,
      tls,
    };
    for (const host of hosts) {
      const http = createHttpServer(options);
      // All have one port: what the first was given, when the system chose it.
      this.httpPort = await http.listen({ host, port: this.httpPort || port });
      this.#http.push(http);
    }
  }

  /** An agent that is in no mesh loads nothing of it. */
  async #openMesh(identity: Identity): Promise<void> {
    const { settings, log, random } = this.#options;
    if (settings.mesh.folder === null) return;
    const { openMeshHome } = await import('../transport/mesh-home.js');
    const home = openMeshHome(settings.mesh.folder);
    if (!home.has('roster')) return;
    const { openAgentMesh } = await import('./mesh/agent-mesh.js');
    const http = (): HttpServer => this.#http[0] as HttpServer;
    this.#mesh = await openAgentMesh({
      home,
      identity,
      settings,
      roles: this.#roles,
      http,
      log: log.child('mesh'),
      random,
    });
    this.#founds = home.has('founding');
    this.#remote = this.#mesh.remote;
    this.#roles.remote = this.#mesh.servers;
  }

  async #startServer(identity: Identity): Promise<void> {
    const { settings, log, random } = this.#options;
    const [
      { openConsensus },
      { createServer },
      { systemTimers },
      { createStore },
      { createStateMachine },
      { schedule },
    ] = await Promise.all([
      import('../server/consensus.js'),
      import('../server/server.js'),
      import('../server/timers.js'),
      import('../state/store.js'),
      import('../state/fsm.js'),
      import('../scheduler/index.js'),
    ]);
    const store = createStore();
    const autoscaler = await this.#makeAutoscaler();
    const serverDir = settings.dataDir === null ? null : join(settings.dataDir, 'server');
    const fsm = createStateMachine(store);
    await this.#makeFeed(identity, fsm);
    this.#consensus = await openConsensus({
      dataDir: serverDir,
      id: identity.publicKey,
      // Who joined a mesh never founds a second group beside its own.
      found: this.#mesh === undefined || this.#founds,
      ...(this.#mesh ? { transport: this.#mesh.raft } : {}),
      fsm,
      ...(this.#feed ? { chain: this.#feed.chain, replica: this.#feed.part } : {}),
      timers: systemTimers,
      now: () => performance.now(),
      random,
      log: log.child('raft'),
      // Its data leads nowhere: whoever watches over the agent starts it again, and it begins anew.
      onAbandoned: ({ message }) => this.#options.end(message, { restart: true }),
    });
    // A port that the system chooses is known once it is listened on.
    const address = (): string => `${advertised(settings.rpc.host)}:${this.#listener?.port ?? settings.rpc.port}`;
    this.#server = createServer({
      consensus: this.#consensus,
      store,
      schedule,
      now: () => Date.now(),
      random,
      log: log.child('server'),
      ...(this.#mesh ? { group: this.#consensus, peers: this.#mesh.serverPeers, reachNode: this.#mesh.reachNode } : {}),
      config: {
        region: settings.region,
        about: { name: settings.nodeName, version: settings.version, datacenter: settings.datacenter },
        identity,
        // A driver that is a plugin is known by the nodes that have it.
        knownDrivers: () => [
          ...new Set([
            ...DRIVER_NAMES,
            ...[...store.snapshot().nodes()].flatMap(({ Drivers }) => Object.keys(Drivers ?? {})),
          ]),
        ],
        driverProblems: taskConfigProblems,
        servers: () => this.#serverNames(identity.publicKey, address),
        addressOf: (id) => this.#addressOf(id, identity.publicKey, address),
        ...(this.#mesh ? { mesh: this.#mesh.serverMesh(this.#consensus) } : {}),
        ...(autoscaler ? { scalingStanding: () => autoscaler.standing(), scalerProblem: autoscaler.problem } : {}),
        ...settings.server,
      },
    });
    if (autoscaler) {
      this.#consensus.onLeadership((leads) => autoscaler.lead(leads));
      this.#metrics.add(autoscaler.metrics);
    }
    this.#server.start();
    await this.#feed?.part.start(this.#consensus);
    this.#consensus.start();
    this.#roles.server = this.#server;
    this.#mesh?.follow(this.#consensus);
    this.#metrics.add(serverMetrics(this.#server, this.#consensus, store));
    await this.#listen(this.#server);
  }

  /** Begins when this server leads: see AgentAutoscaler. */
  async #makeAutoscaler(): Promise<AgentAutoscaler | undefined> {
    const { settings, log } = this.#options;
    if (!settings.autoscaler) return undefined;
    const { createAgentAutoscaler } = await import('./autoscaler.js');
    this.#autoscaler = createAgentAutoscaler({
      settings: settings.autoscaler,
      rpc: this.rpc,
      address: () => this.#apiAddress(),
      pluginDir: settings.pluginDir,
      stateDir: settings.dataDir ?? settings.client?.allocDir ?? tmpdir(),
      log: log.child('autoscaler'),
    });
    return this.#autoscaler;
  }

  #apiAddress(): string {
    const { hosts, tls } = this.#options.settings.http;
    const [host = '127.0.0.1'] = hosts.map((one) => (one === '0.0.0.0' || one === '::' ? '127.0.0.1' : one));
    return `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${this.httpPort}`;
  }

  /** Reads the policies of machines again. */
  reloadPolicies(dir: string | null): void {
    this.#autoscaler?.reload(dir);
  }

  /** How servers that have no vote and no log get the state; loaded by servers of a mesh only. */
  async #makeFeed(identity: Identity, fsm: StateMachine): Promise<void> {
    const { settings, log } = this.#options;
    if (!this.#mesh || settings.dataDir === null) return;
    const { createAgentFeed } = await import('./feed.js');
    const { dataDir } = settings;
    this.#feed = createAgentFeed({ dataDir, id: identity.publicKey, mesh: this.#mesh, fsm, log: log.child('feed') });
    this.#roles.feed = this.#feed.part;
  }

  /** What a client is told of servers it may ask: keys, which stay when addresses change; without a mesh the address. */
  #serverNames(own: string, address: () => string): string[] {
    return this.#mesh ? [own, ...this.#mesh.member.servers()] : [address()];
  }

  /** Where a server is, or was last; '' when nobody knows. */
  #addressOf(id: string, own: string, address: () => string): string {
    return this.#mesh?.addressOf(id) || (id === own ? address() : '');
  }

  /** Takes links of clients elsewhere; without a secret only of this machine. */
  async #listen(server: Server): Promise<void> {
    const { settings, log } = this.#options;
    // Members link by their keys: a port that only this machine could use would be one more to be in use already.
    if (settings.secret === '' && this.#mesh) return;
    if (settings.secret === '' && !isLoopback(settings.rpc.host)) {
      log.info('no links by plain address are taken: that needs mesh { secret_file = … }', {
        address: settings.rpc.host,
      });
      return;
    }
    this.#listener = await listenLinks({
      ...settings.rpc,
      secret: settings.secret,
      accept: () => {
        let link: Link;
        const forget: (() => void)[] = [];
        return {
          options: {
            handlers: linkHandlers(server.handlers, (nodeId) => forget.push(server.registerNodeLink(nodeId, link))),
            streamHandlers: server.streamHandlers,
            onClose: () => {
              for (const drop of forget) drop();
            },
          },
          opened: (opened) => {
            link = opened;
          },
        };
      },
    });
  }

  async #makeClient(identity: Identity): Promise<void> {
    const { settings, log, random } = this.#options;
    if (!settings.client) return;
    const { createClient } = await import('../client/client.js');
    const stateDir = settings.client.stateDir ?? settings.client.allocDir;
    const logOf = (target: Log): DriverOptions['log'] => {
      return (level, message, fields) => target[level](message, fields as Parameters<Log['info']>[1]);
    };
    const others = await openOtherPlugins({
      pluginDir: settings.pluginDir,
      blocks: settings.plugins,
      stateDir: join(stateDir, 'plugins'),
      log: (plugin) => logOf(log.child(`plugin.${plugin}`)),
    });
    this.#drivers = createDrivers({
      blocks: settings.plugins,
      others: others.drivers,
      enable: settings.enabledDrivers,
      stateDir: join(stateDir, 'drivers'),
      log: (driver) => logOf(log.child(`driver.${driver}`)),
    });
    this.#devices = createDevices({
      blocks: settings.plugins,
      others: others.devices,
      stateDir: join(stateDir, 'devices'),
      log: (plugin) => logOf(log.child(`device.${plugin}`)),
    });
    const drivers: Record<string, Driver> = {};
    for (const name of this.#drivers.names.filter(settings.allowsDriver)) {
      const driver = await this.#drivers.get(name);
      if (driver) drivers[name] = driver;
    }
    const devices: Record<string, DeviceProvider> = {};
    for (const name of this.#devices.names) {
      const provider = await this.#devices.get(name);
      if (provider) devices[name] = provider;
    }
    this.#client = await createClient({
      rpc: this.#rpcOfClient(),
      nodeId: nodeIdOf(identity.publicKey),
      drivers,
      deviceProviders: devices,
      config: settings.client,
      httpAddr: `${advertised(settings.http.hosts[0] ?? '127.0.0.1')}:${this.httpPort}`,
      version: settings.version,
      log: log.child('client'),
      listen: this.#options.listen,
      now: () => Date.now(),
      random,
    });
    this.#roles.client = this.#client;
    this.#server?.registerNodeLink(
      this.#client.nodeId,
      localCaller(this.#client.handlers, this.#client.streamHandlers),
    );
    this.#metrics.add(clientMetrics(this.#client));
  }

  /** The server in this process, those of the mesh, or those that the configuration names. */
  #rpcOfClient(): RpcCaller {
    const { settings, log, random } = this.#options;
    if (this.#mesh) return this.#mesh.servers;
    if (this.#server) return localCaller(this.#server.handlers, this.#server.streamHandlers);
    // What servers may ask over the link is this client, which does not exist yet: it is looked up when they ask.
    const roles = this.#roles;
    this.#remote = remoteServer({
      servers: settings.servers,
      secret: settings.secret,
      served: {
        get handlers() {
          return roles.client?.handlers ?? {};
        },
        get streamHandlers() {
          return roles.client?.streamHandlers ?? {};
        },
      },
      log: log.child('servers'),
      random,
    });
    roles.remote = this.#remote;
    return this.#remote;
  }

  async shutdown(): Promise<void> {
    await this.#autoscaler?.stop();
    await this.#client?.shutdown();
    this.#remote?.close();
    await this.#listener?.close();
    this.#server?.stop();
    await this.#consensus?.close();
    await this.#feed?.close();
    await this.#mesh?.close();
    await this.#drivers?.close();
    await this.#devices?.close();
    for (const http of this.#http) await http.close();
    this.#lock?.release();
  }
}

/** The address others would use: a listener on all interfaces is named by the first real one. */
function advertised(host: string): string {
  if (host !== '0.0.0.0' && host !== '::') return host;
  for (const addresses of Object.values(networkInterfaces())) {
    const found = addresses?.find((address) => !address.internal && address.family === 'IPv4');
    if (found) return found.address;
  }
  return '127.0.0.1';
}
