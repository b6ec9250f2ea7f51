// An upgrade puts other files in the place of this program's own while it runs, and takes away what it loads only when it is needed.

const ROOT = decodeURIComponent(new URL('../../../', import.meta.url).pathname);
const OWN = [`${ROOT}dist/`, `${ROOT}plugins/`];
const ABSENT = /Cannot find (module|package)|ENOENT/;
/** The module is there and of another version; which one it is stands in the first line of the stack only. */
const OTHER = 'does not provide an export named';

const REPLACED = 'meshnomad was replaced on disk while it ran, and lacks files of its own for this: restart the agent';

/** What to say of an error that comes of files of this program that are not there any more; null for any other error. */
export function replacedText(error: unknown): string | null {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { message, stack = '' } = at;
    const said = message.includes(OTHER) ? stack.split('\n')[0] : ABSENT.test(message) ? message : '';
    if (OWN.some((path) => said?.includes(path))) return REPLACED;
  }
  return null;
}
