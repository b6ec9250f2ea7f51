import { err, ok, type Result } from '../../util/result.js';

/** How an artifact is fetched. */
export type Fetcher = 'http' | 'git' | 's3' | 'file';

/** The source of an artifact, taken apart. */
export interface ArtifactSource {
  fetcher: Fetcher;
  /** Without the parameters that are for the one who fetches. For `git` an address as git takes it. */
  url: string;
  /** What is fetched of it, below its root; '' = all. */
  subdir: string;
  /** Parameters of the URL and the options of the block: the options win. */
  options: Readonly<Record<string, string>>;
}

/** Parameters that are for the fetcher and not for the server. */
const OWN = ['checksum', 'archive', 'filename'];
const GIT_OWN = [...OWN, 'ref', 'sshkey', 'depth'];
const S3_OWN = [
  ...OWN,
  'aws_access_key_id',
  'aws_access_key_secret',
  'aws_access_token',
  'aws_profile',
  'region',
  'version',
];
const HOSTED_GIT = ['github.com', 'gitlab.com', 'bitbucket.org'];

/** Takes the source of an artifact as go-getter writes them: `git::ssh://…//sub?ref=v1`, `https://…`, `s3::https://…`. */
export function parseSource(source: string, given: Readonly<Record<string, string>>): Result<ArtifactSource, string> {
  const [, forced, rest = source] = /^([a-z0-9]+)::(.+)$/s.exec(source) ?? [];
  const { main, subdir } = splitSubdir(rest);
  const question = main.indexOf('?');
  const address = question < 0 ? main : main.slice(0, question);
  const query = new URLSearchParams(question < 0 ? '' : main.slice(question + 1));
  const options = { ...Object.fromEntries(query), ...given };
  if (subdir.split('/').includes('..')) return err(`the part ${JSON.stringify(subdir)} leads out of the source`);
  const found = detect(forced, address);
  if (!found.ok) return found;
  const { fetcher, url } = found.value;
  const own = fetcher === 'git' ? GIT_OWN : fetcher === 's3' ? S3_OWN : OWN;
  for (const name of own) query.delete(name);
  const left = query.toString();
  return ok({ fetcher, url: left === '' ? url : `${url}?${left}`, subdir, options });
}

/** `//` behind the host begins a part of the source. */
function splitSubdir(text: string): { main: string; subdir: string } {
  const scheme = text.indexOf('://');
  const from = scheme < 0 ? 0 : scheme + 3;
  const question = text.indexOf('?');
  const end = question < 0 ? text.length : question;
  const at = text.slice(0, end).indexOf('//', from);
  if (at < 0) return { main: text, subdir: '' };
  return { main: text.slice(0, at) + text.slice(end), subdir: text.slice(at + 2, end).replace(/^\/+|\/+$/g, '') };
}

function detect(forced: string | undefined, address: string): Result<{ fetcher: Fetcher; url: string }, string> {
  switch (forced) {
    case undefined:
      return detectPlain(address);
    case 'git':
      return address.startsWith('-')
        ? err('a git address does not begin with -')
        : ok({ fetcher: 'git', url: gitUrl(address) });
    case 's3':
      return isWeb(address)
        ? ok({ fetcher: 's3', url: address })
        : err('an s3 source is written s3::https://HOST/BUCKET/KEY');
    case 'http':
    case 'https':
      return isWeb(address)
        ? ok({ fetcher: 'http', url: address })
        : err(`${forced}:: is followed by an address that begins with http`);
    case 'file':
      return detectFile(address);
    case 'hg':
      return err('hg sources are not supported: use git, or an archive over https');
    case 'gcs':
      return err('gcs sources are not supported: use the https address of the object, or its s3-compatible one');
    default:
      return err(`download not supported for scheme ${JSON.stringify(forced)}`);
  }
}

function detectPlain(address: string): Result<{ fetcher: Fetcher; url: string }, string> {
  if (address.startsWith('git@')) return ok({ fetcher: 'git', url: address });
  if (address.startsWith('/') || address.startsWith('file://')) return detectFile(address);
  const host = HOSTED_GIT.find((name) => address.startsWith(`${name}/`));
  if (host !== undefined) return detectHosted(address);
  if (/^[^/]*s3[^/]*\.amazonaws\.com\//.test(address)) return ok({ fetcher: 's3', url: `https://${address}` });
  if (!isWeb(address)) {
    const scheme = /^([a-z0-9+.-]+):/i.exec(address)?.[1];
    return err(
      scheme
        ? `download not supported for scheme ${JSON.stringify(scheme)}`
        : 'the source has no scheme: write https://…, git::…, or s3::…',
    );
  }
  return ok({ fetcher: /^https?:\/\/[^/]+\/.*\.git$/.test(address) ? 'git' : 'http', url: address });
}

/** `github.com/owner/name/sub`: only the first two parts name the repository. */
function detectHosted(address: string): Result<{ fetcher: Fetcher; url: string }, string> {
  const parts = address.split('/');
  if (parts.length < 3) return err(`write ${parts[0]}/OWNER/NAME`);
  const url = `https://${parts.slice(0, 3).join('/')}`;
  return ok({ fetcher: 'git', url: url.endsWith('.git') ? url : `${url}.git` });
}

function detectFile(address: string): Result<{ fetcher: Fetcher; url: string }, string> {
  const path = address.replace(/^file:\/\//, '');
  return path.startsWith('/') ? ok({ fetcher: 'file', url: path }) : err('a file source is an absolute path');
}

/** `github.com/x/y` behind `git::` is meant as https. */
function gitUrl(address: string): string {
  if (address.includes('://') || /^[^/]+@[^/]+:/.test(address)) return address;
  return address.startsWith('/') ? `file://${address}` : `https://${address}`;
}

function isWeb(address: string): boolean {
  return /^https?:\/\/[^/]/.test(address);
}

const SECRET = /(key|secret|token|password|signature|credential)/i;

/** A source without what must not be told: passwords, keys and tokens. */
export function redact(source: string): string {
  return source
    .replace(/(:\/\/)[^/@]*@/, '$1')
    .replace(/([?&])([^=&]+)=([^&]*)/g, (all, mark: string, name: string) =>
      SECRET.test(name) ? `${mark}${name}=redacted` : all,
    );
}
