import { badRequest } from './errors.js';

type Body = Record<string, unknown>;

/** Reads a field of a JSON body: absent or null gives the fallback, another type is refused by name. */
export function stringField(body: Body, name: string, fallback = ''): string {
  const value = body[name];
  if (value === undefined || value === null) return fallback;
  if (typeof value !== 'string') throw badRequest(`${name} must be a string`);
  return value;
}

export function booleanField(body: Body, name: string, fallback = false): boolean {
  const value = body[name];
  if (value === undefined || value === null) return fallback;
  if (typeof value !== 'boolean') throw badRequest(`${name} must be true or false`);
  return value;
}

export function numberField(body: Body, name: string, fallback = 0): number {
  const value = body[name];
  if (value === undefined || value === null) return fallback;
  if (typeof value !== 'number' || !Number.isFinite(value)) throw badRequest(`${name} must be a number`);
  return value;
}

export function stringsField(body: Body, name: string): string[] {
  const value = body[name];
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.some((item) => typeof item !== 'string')) {
    throw badRequest(`${name} must be a list of strings`);
  }
  return value as string[];
}

export function objectField(body: Body, name: string): Body | null {
  const value = body[name];
  if (value === undefined || value === null) return null;
  if (typeof value !== 'object' || Array.isArray(value)) throw badRequest(`${name} must be an object`);
  return value as Body;
}
