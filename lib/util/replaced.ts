// An upgrade puts other files in the place of this program's own while it runs, and takes away what it loads only when it is needed.

const ROOT = decodeURIComponent(new URL('../../../', import.meta.url).pathname);
const OWN = [`${ROOT}dist/`, `${ROOT}plugins/`, `${ROOT}lib/plugin/proto/`, `${ROOT}package.json`];
const ABSENT = /Cannot find (module|package)|ENOENT/;
/** The module is there and of another version; which one it is stands in the first line of the stack only. */
const OTHER = 'does not provide an export named';

const REPLACED = 'meshnomad was replaced on disk while it ran, and lacks files of its own for this: restart the agent';

/** What to say of an error that comes of files of this program that are not there any more; null for any other error. */
export function replacedText(error: unknown): string | null {
  return ownFault(error) === null ? null : REPLACED;
}

/** The same of a program that has just begun: it was not installed whole. */
export function absentText(error: unknown): string | null {
  const said = ownFault(error);
  if (said === null) return null;
  const [, kind, name] = /(package )?'([^']+)'/.exec(said) ?? [];
  let what = 'has files of several versions';
  if (!said.includes(OTHER) && name !== undefined)
    what = `lacks ${kind ? 'the package' : 'a file of its own,'} ${name}`;
  return `meshnomad ${what}: install it again (in a clone: npm ci && npm run build)`;
}

/** What an error says of a file of this program that is not there, or is of another version. */
function ownFault(error: unknown): string | null {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { message, stack = '' } = at;
    const said = message.includes(OTHER) ? `${stack.split('\n')[0]} ${message}` : ABSENT.test(message) ? message : '';
    if (OWN.some((path) => said.includes(path))) return said;
  }
  return null;
}
