import { nearest } from '../util/nearest.js';
import { absentText } from '../util/replaced.js';
import { ABSENT } from './absent.js';
import type { ApiClient } from './api.js';
import { type Command, type Context, type Output, type Sink, UsageError } from './command.js';
import { COMMANDS } from './commands.js';
import { COMMON_FLAGS, CONNECTION_FLAGS, flagHelp, parseFlags } from './flags.js';

/** What the program is run with: the environment, and where it writes. */
export interface Surroundings {
  env: Record<string, string | undefined>;
  stdout: Sink & { isTTY?: boolean; columns?: number };
  stderr: Sink;
}

/** Finds the command that argv names and runs it; resolves to the exit code. */
export async function main(argv: string[], around: Surroundings = process): Promise<number> {
  const first = argv[0];
  if (first === '-v' || first === '-version' || first === '--version') return main(['version'], around);
  if (first === undefined || /^--?(h|help|\?)$/.test(first)) {
    (first === undefined ? around.stderr : around.stdout).write(overview(''));
    return first === undefined ? 127 : 0;
  }
  if (first === 'help') return main([...argv.slice(1), '-help'], around);
  const found = find(argv);
  if (!found) return unknownCommand(argv, around);
  let command: Command;
  try {
    ({ command } = await found.load());
  } catch (error) {
    explain(error, found.name, createOutput(around, {}));
    return 1;
  }
  return runCommand(command, found.name, argv.slice(found.words), around);
}

async function runCommand(command: Command, name: string, argv: string[], around: Surroundings): Promise<number> {
  const { env } = around;
  const specs = { ...command.flags, ...(command.local ? {} : CONNECTION_FLAGS), ...COMMON_FLAGS };
  let output = createOutput(around, {});
  let made: Promise<ApiClient> | undefined;
  try {
    const { args, flags } = parseFlags(argv, specs, command.passThrough);
    if (flags.bool('help')) {
      output.out(helpText(command));
      return 0;
    }
    output = createOutput(around, { plain: flags.bool('no-color'), color: flags.bool('force-color') });
    const api: Context['api'] = () => {
      made ??= import('./api.js').then(({ connect }) => connect(flags, env));
      return made;
    };
    const code = await command.run({ args, flags, output, env, api });
    if (made) tellWay(await made, output, flags.optionalBool('json') ?? false);
    return code;
  } catch (error) {
    explain(error, name, output);
    return command.failureCode ?? 1;
  } finally {
    await made?.then((client) => client.close()).catch(() => {});
    const overMesh = (await made?.catch(() => undefined))?.connection.mesh !== undefined;
    // A timer of the DHT would hold the program for half a second; everything is closed and written.
    if (overMesh && around === process) setImmediate(() => process.exit());
  }
}

/** How the answer came, where that is no matter of course; results stay as they are. */
function tellWay(client: ApiClient, output: Output, json: boolean): void {
  const { mesh } = client.connection;
  const staleness = client.staleness;
  if (json && (mesh || staleness !== '')) {
    output.error(JSON.stringify({ Via: mesh?.describe() ?? '', Stale: staleness }));
    return;
  }
  if (staleness !== '') output.error(`(${staleness})`);
  if (mesh && output.tty) output.error(`(${mesh.describe()})`);
}

function explain(error: unknown, name: string, output: Output): void {
  if (error instanceof UsageError) {
    output.error(`${error.message}\nFor additional help try 'meshnomad ${name} -help'`);
  } else if (error instanceof Error && error.name === 'ApiError') {
    output.error(error.message);
  } else if (absentText(error) !== null) {
    output.error(`meshnomad ${name}: ${absentText(error)}`);
  } else {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    output.error(`meshnomad ${name}: ${text}\nThis is a defect of meshnomad.`);
  }
}

/** The longest command has as many: operator root keyring list. */
const WORDS_MAX = 4;

function find(argv: string[]): { name: string; words: number; load: () => Promise<{ command: Command }> } | undefined {
  for (let words = Math.min(WORDS_MAX, argv.length); words > 0; words--) {
    const name = argv.slice(0, words).join(' ');
    const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
    if (entry) return { name, words, load: entry.load };
  }
  return undefined;
}

function unknownCommand(argv: string[], { stdout, stderr }: Surroundings): number {
  const group = groupOf(argv);
  const next = argv[group.split(' ').length];
  const members = Object.keys(COMMANDS).filter((name) => name.startsWith(`${group} `));
  if (members.length > 0 && (next === undefined || /^--?(h|help|\?)$/.test(next))) {
    (next === undefined ? stderr : stdout).write(overview(group));
    return next === undefined ? 127 : 0;
  }
  const why = Object.hasOwn(ABSENT, group) ? ABSENT[group] : undefined;
  if (why !== undefined) {
    stderr.write(`meshnomad: there is no command ${JSON.stringify(group)}: ${why}.\n`);
    return 127;
  }
  const typed = members.length > 0 ? `${group} ${next}` : group;
  const near = nearest(typed, members.length > 0 ? members : topLevel());
  stderr.write(
    `meshnomad: unknown command ${JSON.stringify(typed)}${near ? `; did you mean "${near}"?` : ''}\nRun 'meshnomad -help' for the list of commands.\n`,
  );
  return 127;
}

/** The first words as far as commands begin with them: "job", "job tag". */
function groupOf(argv: string[]): string {
  let group = argv[0] as string;
  for (const word of argv.slice(1)) {
    if (!Object.keys(COMMANDS).some((name) => name.startsWith(`${group} ${word} `))) break;
    group = `${group} ${word}`;
  }
  return group;
}

function topLevel(): string[] {
  return [...new Set(Object.keys(COMMANDS).map((name) => name.split(' ')[0] as string))];
}

function overview(group: string): string {
  const names = Object.keys(COMMANDS).filter(
    (name) => !COMMANDS[name]?.alias && (group === '' || name.startsWith(`${group} `)),
  );
  const width = Math.max(...names.map((name) => name.length)) + 2;
  const lines = names.map((name) => `    ${name.padEnd(width)}${COMMANDS[name]?.summary ?? ''}`);
  return [
    `Usage: meshnomad ${group === '' ? '' : `${group} `}<command> [options] [args]`,
    '',
    'Commands:',
    ...lines,
    '',
    "'meshnomad <command> -help' tells more about one.",
    '',
  ].join('\n');
}

function helpText(command: Command): string {
  const parts = [
    `Usage: ${command.usage}`,
    '',
    ...command.about.split('\n').map((line) => (line === '' ? '' : `  ${line}`)),
  ];
  if (Object.keys(command.flags).length > 0) parts.push('', 'Options:', '', flagHelp(command.flags));
  if (!command.local) parts.push('', 'Connection options:', '', flagHelp(CONNECTION_FLAGS));
  parts.push('', 'General options:', '', flagHelp(COMMON_FLAGS));
  return parts
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trimEnd();
}

function createOutput({ env, stdout, stderr }: Surroundings, wish: { plain?: boolean; color?: boolean }): Output {
  const tty = stdout.isTTY === true;
  const plain = wish.plain || !!env['NOMAD_CLI_NO_COLOR'] || !!env['NO_COLOR'];
  const color = !plain && (wish.color || !!env['NOMAD_CLI_FORCE_COLOR'] || tty);
  return {
    tty,
    columns: stdout.columns ?? 80,
    color,
    raw: { out: stdout, error: stderr },
    out: (text) => void stdout.write(`${text}\n`),
    error: (text) => void stderr.write(`${text}\n`),
  };
}
