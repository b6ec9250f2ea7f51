import { eventRoutes } from '../events.js';
import type { Routes } from '../router.js';
import { agentRoutes } from './agent.js';
import { allocationRoutes } from './allocations.js';
import { clientRoutes } from './client.js';
import { deploymentRoutes } from './deployments.js';
import { evaluationRoutes } from './evaluations.js';
import { jobChildrenRoutes } from './job-children.js';
import { jobRoutes } from './jobs.js';
import { laterRoutes } from './later.js';
import { meshRoutes } from './mesh.js';
import { nodePoolRoutes } from './node-pools.js';
import { nodeRoutes } from './nodes.js';
import { operatorRoutes } from './operator.js';
import { scalingRoutes } from './scaling.js';
import { searchRoutes } from './search.js';
import { serverRoutes } from './servers.js';
import { serviceRoutes } from './services.js';
import { variableRoutes } from './variables.js';
import { volumeBackupRoutes } from './volume-backups.js';
import { volumeRoutes } from './volumes.js';
import { whyRoutes } from './why.js';

/** Every route of the API. Within one table the first pattern that fits wins. */
export const ROUTES: readonly Routes[] = [
  jobChildrenRoutes,
  whyRoutes,
  jobRoutes,
  allocationRoutes,
  evaluationRoutes,
  deploymentRoutes,
  nodePoolRoutes,
  nodeRoutes,
  clientRoutes,
  agentRoutes,
  eventRoutes,
  meshRoutes,
  operatorRoutes,
  serverRoutes,
  scalingRoutes,
  serviceRoutes,
  variableRoutes,
  volumeRoutes,
  volumeBackupRoutes,
  searchRoutes,
  laterRoutes,
];
