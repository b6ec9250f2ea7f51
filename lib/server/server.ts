import { schedule as scheduleByType } from '../scheduler/index.js';
import type { Store } from '../state/store.js';
import { MeshError } from '../structs/errors.js';
import type { RpcCaller, RpcContext, RpcHandlers, RpcMethod, RpcStreamHandlers } from '../transport/rpc.js';
import type { Millis } from '../util/clock.js';
import type { Log } from '../util/log.js';
import type { Random } from '../util/random.js';
import { replacedText } from '../util/replaced.js';
import { Turns } from '../util/turns.js';
import { createAutopilotPart } from './autopilot/part.js';
import { type Company, createCompany } from './company.js';
import { createCoreGc } from './core-gc.js';
import { createControllers } from './csi/controllers.js';
import { createDeploymentWatcher } from './deployment-watcher.js';
import { createDrainer } from './drainer.js';
import { allocEndpoints } from './endpoints/alloc.js';
import type { EndpointContext } from './endpoints/context.js';
import { csiClaimEndpoints } from './endpoints/csi-claim.js';
import { csiSnapshotEndpoints } from './endpoints/csi-snapshots.js';
import { csiStatsEndpoints } from './endpoints/csi-stats.js';
import { csiVolumeEndpoints } from './endpoints/csi-volume.js';
import { csiVolumeWriteEndpoints } from './endpoints/csi-volume-write.js';
import { deploymentEndpoints } from './endpoints/deployment.js';
import { evalEndpoints } from './endpoints/eval.js';
import { eventStreams } from './endpoints/event.js';
import { forwardEndpoints, forwardStreams } from './endpoints/forward.js';
import { hostVolumeEndpoints } from './endpoints/host-volume.js';
import { jobChildrenEndpoints } from './endpoints/job-children.js';
import { jobPlanEndpoints } from './endpoints/job-plan.js';
import { jobReadEndpoints } from './endpoints/job-read.js';
import { jobScaleEndpoints } from './endpoints/job-scale.js';
import { jobWriteEndpoints } from './endpoints/job-write.js';
import { keyringEndpoints } from './endpoints/keyring.js';
import { meshEndpoints } from './endpoints/mesh.js';
import { meshAdmissionEndpoints } from './endpoints/mesh-admission.js';
import { meshExclusionEndpoints } from './endpoints/mesh-exclusion.js';
import { migrateEndpoints } from './endpoints/migrate.js';
import { nodeEndpoints } from './endpoints/node.js';
import { nodeClientEndpoints } from './endpoints/node-client.js';
import { nodeDrainEndpoints } from './endpoints/node-drain.js';
import { nodePoolEndpoints } from './endpoints/node-pool.js';
import { scalingEndpoints } from './endpoints/scaling.js';
import { serverEndpoints } from './endpoints/servers.js';
import { serviceEndpoints } from './endpoints/service.js';
import { snapshotStreams } from './endpoints/snapshot.js';
import { statusEndpoints } from './endpoints/status.js';
import { systemEndpoints } from './endpoints/system.js';
import { variableEndpoints } from './endpoints/variable.js';
import { volumeDataEndpoints } from './endpoints/volume-data.js';
import { whyEndpoints } from './endpoints/why.js';
import { forwarding } from './forwarding.js';
import { createKeyringDuty, firstKey } from './keyring/duty.js';
import { Keyring } from './keyring/keyring.js';
import { createLeader, type Leader } from './leader.js';
import { createMeshDuties } from './mesh/duties.js';
import { guarded } from './mesh/guards.js';
import { createIssuer } from './mesh/issuer.js';
import { feedRoster } from './mesh/roster-view.js';
import { NodeLeases } from './node-leases.js';
import { createNodePaths } from './node-path.js';
import { createNodeWatch } from './node-watch.js';
import { createPeriodic } from './periodic.js';
import type { Consensus, ConsensusGroup, ServerPeers } from './ports.js';
import { createSchedulerSeed } from './scheduler-seed.js';
import { createScheduling, type SchedulingCounts } from './scheduling.js';
import { systemTimers, systemTurns, type Timers } from './timers.js';
import { Archives } from './volume-data/archives.js';
import { createArchivist } from './volume-data/archivist.js';
import { createVolumeWatcher } from './volume-watcher.js';
import type { Schedule } from './worker.js';
import type { ServerConfig, ServerWorld } from './world.js';

// The server role. Requests come from lib/http and from clients as RPC; what they change goes through Consensus into
// lib/state; what follows from a change is the leader's machinery: evaluations → lib/scheduler → plans → allocations,
// which clients pull.

export interface ServerOptions {
  consensus: Consensus;
  /** Who agrees, and the other servers; absent = this one is alone for ever. */
  group?: ConsensusGroup;
  peers?: ServerPeers;
  /** A way to a client that has not come to this server by itself; absent = there is none. */
  reachNode?: (nodeId: string) => RpcCaller | undefined;
  store: Store;
  /** The schedulers of lib/scheduler unless given. */
  schedule?: Schedule;
  now: () => Millis;
  random: Random;
  log: Log;
  config: ServerConfig;
  /** Timers of the system unless given. */
  timers?: Timers;
}

export interface Server {
  readonly handlers: RpcHandlers;
  readonly streamHandlers: RpcStreamHandlers;
  /** Begins to act as leader whenever consensus says so. Call it before consensus starts. */
  start(): void;
  stop(): void;
  /** A client can be asked over this link; the returned function takes the link away, unless a newer one has replaced it. */
  registerNodeLink(nodeId: string, caller: RpcCaller): () => void;
  /** For metrics. */
  counts(): SchedulingCounts;
}

export function createServer(options: ServerOptions): Server {
  const timers = options.timers ?? systemTimers;
  const company = createCompany(timers);
  const consensus = atServer(options.consensus, options.store, company);
  const turns = timers === systemTimers ? systemTurns : new Turns(timers.soon);
  const world: ServerWorld = { ...options, consensus, company, timers, turns };
  const schedule = options.schedule ?? scheduleByType;
  const nodeLinks = new Map<string, RpcCaller>();
  const leases = new NodeLeases();
  const nodeWatch = createNodeWatch(world, leases);
  const coreGc = createCoreGc(world);
  const scheduling = createScheduling(world, schedule);
  const periodic = createPeriodic(world);
  const autopilot = createAutopilotPart(world, options.config.autopilot);
  const nodePaths = createNodePaths(world, {
    linked: (nodeId) => nodeLinks.get(nodeId),
    reach: (nodeId) => options.reachNode?.(nodeId),
  });
  const controllers = createControllers(world, nodePaths);
  const keyring = new Keyring(world.config.identity);
  const volumeWatcher = createVolumeWatcher(world, { paths: nodePaths, controllers, leases, keyring });
  const ensureKey = firstKey(world);
  const archives = new Archives(world, { keyring, ensureKey });
  const archivist = createArchivist(world, {
    paths: nodePaths,
    archives,
    csi: { controllers, keyring, ensureKey, turns: volumeWatcher.turns },
  });
  const { mesh, scheduler: seed = {} } = world.config;
  const issuer = mesh && createIssuer(world, mesh.identity);
  const context: EndpointContext = {
    ...world,
    keyring,
    ensureKey,
    schedule,
    nodeWatch,
    coreGc,
    periodic,
    autopilot,
    nodePaths,
    leases,
    controllers,
    volumeWatcher,
    archives,
    archivist,
    issuer,
  };
  let leader: Leader | undefined;
  let stopFeed = (): void => {};
  return {
    handlers: answeringWell(
      world,
      guarded(
        world.store,
        forwarding(world, {
          ...statusEndpoints(context),
          ...serverEndpoints(context),
          ...jobReadEndpoints(context),
          ...jobWriteEndpoints(context),
          ...jobPlanEndpoints(context),
          ...jobChildrenEndpoints(context),
          ...jobScaleEndpoints(context),
          ...nodePoolEndpoints(context),
          ...scalingEndpoints(context),
          ...serviceEndpoints(context),
          ...variableEndpoints(context),
          ...keyringEndpoints(context),
          ...allocEndpoints(context),
          ...evalEndpoints(context),
          ...whyEndpoints(context),
          ...deploymentEndpoints(context),
          ...nodeEndpoints(context),
          ...nodeDrainEndpoints(context),
          ...nodeClientEndpoints(context),
          ...csiVolumeEndpoints(context),
          ...csiVolumeWriteEndpoints(context),
          ...csiSnapshotEndpoints(context),
          ...csiStatsEndpoints(context),
          ...csiClaimEndpoints(context),
          ...hostVolumeEndpoints(context),
          ...volumeDataEndpoints(context),
          ...systemEndpoints(context),
          ...meshEndpoints(context),
          ...meshAdmissionEndpoints(context),
          ...meshExclusionEndpoints(context),
          ...forwardEndpoints(context),
          ...migrateEndpoints(context),
        }),
      ),
    ),
    streamHandlers: { ...forwardStreams(context), ...snapshotStreams(context), ...eventStreams(context) },
    start() {
      if (mesh) stopFeed = feedRoster(world, mesh);
      leader ??= createLeader(world, [
        scheduling,
        nodeWatch,
        createDeploymentWatcher(world),
        createDrainer(world),
        periodic,
        coreGc,
        volumeWatcher,
        archivist,
        autopilot,
        ...(world.config.identity ? [createKeyringDuty(world, keyring)] : []),
        ...(Object.keys(seed).length > 0 ? [createSchedulerSeed(world, seed)] : []),
        ...(mesh && issuer ? [createMeshDuties(world, mesh, issuer)] : []),
      ]);
    },
    stop() {
      stopFeed();
      leader?.stop();
    },
    registerNodeLink(nodeId, caller) {
      nodeLinks.set(nodeId, caller);
      return () => {
        if (nodeLinks.get(nodeId) === caller) nodeLinks.delete(nodeId);
      };
    },
    counts: () => scheduling.counts(),
  };
}

/** Agreement, with the indexes of the state in place of the log's. */
function atServer(consensus: Consensus, store: Store, company: Company): Consensus {
  return {
    async propose(command) {
      company.comes();
      const { index, result } = await consensus.propose(command);
      return { index: index + store.indexOffset, result };
    },
    readIndex: async () => (await consensus.readIndex()) + store.indexOffset,
    get isLeader() {
      return consensus.isLeader;
    },
    get leader() {
      return consensus.leader;
    },
    lastContactMs: () => consensus.lastContactMs(),
    onLeadership: (listener) => consensus.onLeadership(listener),
  };
}

type AnyHandler = (args: { Region?: string }, context: RpcContext) => Promise<unknown>;

/** Refuses other regions, and turns a defect into E_INTERNAL with its details in the log only. */
function answeringWell(world: ServerWorld, handlers: RpcHandlers): RpcHandlers {
  const log = world.log.child('rpc');
  const wrap = (method: RpcMethod, handler: AnyHandler): AnyHandler => {
    return async (args, context) => {
      if (args.Region && args.Region !== world.config.region) {
        throw new MeshError('E_BAD_REQUEST', `No path to region "${args.Region}": this is "${world.config.region}"`);
      }
      try {
        return await handler(args, context);
      } catch (error) {
        if (error instanceof MeshError) throw error;
        log.error('request failed', { method, reason: error instanceof Error ? (error.stack ?? '') : String(error) });
        const told = replacedText(error) ?? `${method} failed; the log of the server has the details`;
        throw new MeshError('E_INTERNAL', told, { cause: error });
      }
    };
  };
  return Object.fromEntries(
    Object.entries(handlers).map(([method, handler]) => [method, wrap(method as RpcMethod, handler as AnyHandler)]),
  );
}
