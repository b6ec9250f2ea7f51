import { createHash, createHmac } from 'node:crypto';
import { refuse } from './failure.js';

/** An object, or all those below a prefix, and what to sign with. */
export interface S3Place {
  /** `https://host` that answers for the bucket in the path, or in its name. */
  origin: string;
  /** Of the bucket, without a slash at its end: '' or `/bucket`. */
  base: string;
  key: string;
  region: string;
  /** Null: ask as anybody. */
  credentials: { id: string; secret: string; token: string | null } | null;
  version: string | null;
}

/** Takes an S3 address apart: `https://s3.REGION.amazonaws.com/BUCKET/KEY`, `https://BUCKET.s3.REGION.amazonaws.com/KEY`, `https://HOST/BUCKET/KEY`. */
export function parseS3(
  url: string,
  options: Readonly<Record<string, string>>,
  login: S3Place['credentials'],
): S3Place {
  const { protocol, host, pathname } = new URL(url);
  const path = pathname.split('/').slice(1).map(decodeURIComponent);
  const pathStyle = /^s3[.-](?:dualstack\.)?([a-z0-9-]+)\.amazonaws\.com$/.exec(host);
  const hostStyle = /^[^.].*\.s3[.-](?:dualstack\.)?(?:([a-z0-9-]+)\.)?amazonaws\.com$/.exec(host);
  const named = hostStyle && !pathStyle;
  const [bucket = '', ...rest] = named ? ['', ...path] : path;
  if (!named && bucket === '') throw refuse('the s3 address names no bucket: write s3::https://HOST/BUCKET/KEY');
  return {
    origin: `${protocol}//${host}`,
    base: named ? '' : `/${encodePath(bucket)}`,
    key: rest.join('/'),
    region: options['region'] || pathStyle?.[1] || hostStyle?.[1] || 'us-east-1',
    credentials: login,
    version: options['version'] || null,
  };
}

/** A request for one object: its URL and the headers that sign it. */
export function signedGet(
  place: S3Place,
  ask: { path: string; query: Readonly<Record<string, string>>; now: Date },
): { url: string; headers: Record<string, string> } {
  const query = Object.entries(ask.query)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .join('&');
  const url = `${place.origin}${ask.path}${query === '' ? '' : `?${query}`}`;
  if (!place.credentials) return { url, headers: {} };
  return { url, headers: signature(place, { ...ask, query, credentials: place.credentials }) };
}

/** The path of an object within its origin. */
export function objectPath({ base }: S3Place, key: string): string {
  return `${base}/${encodePath(key)}`;
}

/** AWS Signature Version 4 of a request without a body. */
function signature(
  { origin, region }: S3Place,
  ask: { path: string; query: string; now: Date; credentials: NonNullable<S3Place['credentials']> },
): Record<string, string> {
  const { id, secret, token } = ask.credentials;
  const time = ask.now.toISOString().replace(/[-:]|\.\d{3}/g, '');
  const day = time.slice(0, 8);
  const empty = sha256('');
  const headers: Record<string, string> = {
    host: new URL(origin).host,
    'x-amz-content-sha256': empty,
    'x-amz-date': time,
    ...(token === null ? {} : { 'x-amz-security-token': token }),
  };
  const names = Object.keys(headers).sort();
  const canonical = [
    'GET',
    ask.path,
    ask.query,
    ...names.map((name) => `${name}:${headers[name]}`),
    '',
    names.join(';'),
    empty,
  ];
  const scope = `${day}/${region}/s3/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical.join('\n'))].join('\n');
  const key = [day, region, 's3', 'aws4_request'].reduce<string | Buffer>(
    (from, part) => hmac(from, part),
    `AWS4${secret}`,
  );
  const signed = hmac(key, toSign).toString('hex');
  headers['authorization'] =
    `AWS4-HMAC-SHA256 Credential=${id}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signed}`;
  return headers;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function encodePath(path: string): string {
  return path.split('/').map(encode).join('/');
}

/** One page of a listing: the keys, and where the next page begins. */
export function parseListing(xml: string): { keys: string[]; next: string | null } {
  const text = (source: string): string =>
    source.replace(
      /&(lt|gt|amp|quot|apos);/g,
      (_, name: string) => ({ lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" })[name] ?? '',
    );
  const keys = [...xml.matchAll(/<Contents>[\s\S]*?<Key>([^<]*)<\/Key>[\s\S]*?<\/Contents>/g)].map(([, key = '']) =>
    text(key),
  );
  const next = /<NextContinuationToken>([^<]*)<\/NextContinuationToken>/.exec(xml)?.[1];
  return { keys, next: next === undefined ? null : text(next) };
}
