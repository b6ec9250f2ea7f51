import { entriesOf, type Value } from '../../../template/index.js';
import { mapOf } from './arguments.js';

const PARTS = /^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s;

/** An address in its parts, each of which is there: scheme, userinfo, host, hostname, path, query, opaque, fragment. */
export function parseUrl(address: string): Map<string, Value> {
  if (/[\x00-\x1f\x7f]/.test(address))
    throw new Error('unable to parse url: it has blanks or control characters in it');
  const [, scheme = '', authority, rest = '', query = '', fragment = ''] = PARTS.exec(address) ?? [];
  const at = authority?.lastIndexOf('@') ?? -1;
  const host = authority?.slice(at + 1) ?? '';
  const isOpaque = scheme !== '' && authority === undefined && rest !== '' && !rest.startsWith('/');
  return new Map(
    Object.entries({
      scheme: scheme.toLowerCase(),
      userinfo: at < 0 ? '' : (authority ?? '').slice(0, at),
      host,
      hostname: host.replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1'),
      path: isOpaque ? '' : decoded(rest),
      query,
      opaque: isOpaque ? rest : '',
      fragment: decoded(fragment),
    }),
  );
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new Error(`unable to parse url: invalid URL escape in ${JSON.stringify(part)}`);
  }
}

/** The address that such parts make. */
export function joinUrl(value: Value): string {
  const parts = new Map(entriesOf(mapOf(value)));
  const part = (name: string): string => {
    const given = parts.get(name) ?? '';
    if (typeof given !== 'string') throw new Error(`unable to parse ${name} key, must be of type string`);
    return given;
  };
  const [scheme, host, path, user] = [part('scheme'), part('host'), part('path'), part('userinfo')];
  const lead = scheme === '' ? '' : `${scheme}:`;
  const tail = `${part('query') === '' ? '' : `?${part('query')}`}${part('fragment') === '' ? '' : `#${encodeURI(part('fragment'))}`}`;
  if (part('opaque') !== '') return lead + part('opaque') + tail;
  const authority = host === '' && user === '' && scheme === '' ? '' : `//${user === '' ? '' : `${user}@`}${host}`;
  const slash = path !== '' && !path.startsWith('/') && host !== '' ? '/' : '';
  return lead + authority + slash + encodeURI(path).replaceAll('?', '%3F').replaceAll('#', '%23') + tail;
}
