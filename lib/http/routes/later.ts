import { MeshError } from '../../structs/errors.js';
import type { RouteHandler, Routes } from '../router.js';

/** Paths of Nomad's API that a later version answers: said clearly, so that nobody looks for a mistake of their own. */
const PATHS = [
  '/v1/jobs/statuses',
  '/v1/acl/*rest',
  '/v1/event/stream',
  '/v1/namespace/*rest',
  '/v1/search/fuzzy',
  '/v1/agent/monitor',
];

const refuse: RouteHandler = async ({ request }) => {
  throw new MeshError(
    'E_NOT_SUPPORTED',
    `${request.url?.split('?')[0]} is not supported yet: it comes with a later version of meshnomad`,
  );
};

export const laterRoutes: Routes = Object.fromEntries(
  PATHS.map((path) => [path, { GET: refuse, PUT: refuse, DELETE: refuse }]),
);
