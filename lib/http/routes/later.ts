import { MeshError } from '../../structs/errors.js';
import type { RouteHandler, Routes } from '../router.js';

/** Paths of Nomad's API that a later version answers: said clearly, so that nobody looks for a mistake of their own. */
const PATHS = ['/v1/jobs/statuses', '/v1/acl/*rest', '/v1/namespace/*rest', '/v1/search/fuzzy'];

/** Paths of Nomad's enterprise version, answered as Nomad's free one answers them. */
const ENTERPRISE = [
  '/v1/operator/license',
  '/v1/quota',
  '/v1/quota/*rest',
  '/v1/quotas',
  '/v1/quota-usages',
  '/v1/recommendation',
  '/v1/recommendation/*rest',
  '/v1/recommendations',
  '/v1/recommendations/*rest',
  '/v1/sentinel/policies',
  '/v1/sentinel/policy/*rest',
];

const enterprise: RouteHandler = async () => {
  throw new MeshError('E_NOT_SUPPORTED', 'Nomad Enterprise only endpoint');
};

const refuse: RouteHandler = async ({ request }) => {
  throw new MeshError(
    'E_NOT_SUPPORTED',
    `${request.url?.split('?')[0]} is not supported yet: it comes with a later version of meshnomad`,
  );
};

const refusing = (paths: readonly string[], GET: RouteHandler): [string, Routes[string]][] =>
  paths.map((path) => [path, { GET, PUT: GET, DELETE: GET }]);

export const laterRoutes: Routes = Object.fromEntries([
  ...refusing(PATHS, refuse),
  ...refusing(ENTERPRISE, enterprise),
]);
