import type { QueryOptions, WriteOptions } from '../structs/rpc.js';
import { parseDuration } from '../util/duration.js';
import { badRequest } from './errors.js';

const WAIT_MAX_MS = 10 * 60_000;

/** A flag as Nomad reads it: absent = false, empty or "true"/"1" = true. */
export function flag(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  if (value === null) return false;
  if (
    value === '' ||
    value === 'true' ||
    value === '1' ||
    value === 't' ||
    value === 'T' ||
    value === 'TRUE' ||
    value === 'True'
  ) {
    return true;
  }
  if (value === 'false' || value === '0' || value === 'f' || value === 'F' || value === 'FALSE' || value === 'False')
    return false;
  throw badRequest(`Failed to parse value of "${name}" (${value}) as a bool: write true or false`);
}

/** A whole number that is not negative, or undefined when the parameter is absent. */
export function wholeNumber(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name);
  if (value === null || value === '') return undefined;
  if (!/^\d{1,16}$/.test(value)) throw badRequest(`Invalid ${name}: ${JSON.stringify(value)} is not a whole number`);
  return Number(value);
}

/** The parameters that every read takes: index, wait, stale, prefix, filter, paging, region and namespace, and the token. */
export function queryOptions(query: URLSearchParams, token: string): QueryOptions {
  const options: QueryOptions = { ...writeOptions(query, token) };
  if (query.size === 0) return options;
  const index = query.get('index');
  if (index !== null && index !== '') {
    if (!/^\d{1,16}$/.test(index)) throw badRequest('Invalid index');
    options.MinQueryIndex = Number(index);
  }
  const wait = query.get('wait');
  if (wait !== null && wait !== '') {
    const parsed = parseDuration(wait);
    if (!parsed.ok || parsed.value < 0) throw badRequest('Invalid wait time');
    options.MaxQueryTimeMs = Math.min(WAIT_MAX_MS, parsed.value / 1e6);
  }
  if (query.has('stale')) options.AllowStale = true;
  const prefix = query.get('prefix');
  if (prefix) options.Prefix = prefix;
  const filter = query.get('filter');
  if (filter) options.Filter = filter;
  const perPage = wholeNumber(query, 'per_page');
  if (perPage !== undefined) options.PerPage = perPage;
  const nextToken = query.get('next_token');
  if (nextToken) options.NextToken = nextToken;
  if (query.has('reverse')) options.Reverse = flag(query, 'reverse');
  return options;
}

/** The parameters that every write takes. */
export function writeOptions(query: URLSearchParams, token: string): WriteOptions {
  const options: WriteOptions = {};
  const region = query.get('region');
  if (region) options.Region = region;
  const namespace = query.get('namespace');
  if (namespace) options.Namespace = namespace;
  if (token !== '') options.AuthToken = token;
  return options;
}
