import { parseDuration } from '../util/duration.js';
import { nearest } from '../util/nearest.js';
import { type FlagSpec, type Flags, type FlagValue, UsageError } from './command.js';

/** Flags that every command with a connection to an agent takes. */
export const CONNECTION_FLAGS: Record<string, FlagSpec> = {
  address: {
    type: 'string',
    value: 'addr',
    help: 'Address of the agent, default http://127.0.0.1:4646, or where none runs the mesh that you have a key for ("mesh" takes that in any case); or NOMAD_ADDR, MESHNOMAD_ADDR.',
  },
  region: { type: 'string', value: 'name', help: 'Region to ask; or NOMAD_REGION.' },
  namespace: {
    type: 'string',
    value: 'name',
    help: 'Namespace, default "default"; "*" for all where a list is asked; or NOMAD_NAMESPACE.',
  },
  token: {
    type: 'string',
    value: 'secret',
    help: 'ACL token; better in NOMAD_TOKEN, where other users cannot see it.',
  },
  'ca-cert': { type: 'string', value: 'file', help: "CA certificate (PEM) that signs the agent's; or NOMAD_CACERT." },
  'ca-path': { type: 'string', value: 'dir', help: 'Directory of such CA certificates; or NOMAD_CAPATH.' },
  'client-cert': { type: 'string', value: 'file', help: 'Client certificate (PEM); or NOMAD_CLIENT_CERT.' },
  'client-key': { type: 'string', value: 'file', help: 'Key of the client certificate; or NOMAD_CLIENT_KEY.' },
  'tls-server-name': {
    type: 'string',
    value: 'name',
    help: "Name expected in the agent's certificate; or NOMAD_TLS_SERVER_NAME.",
  },
  'tls-skip-verify': { type: 'bool', help: "Do not check the agent's certificate; or NOMAD_SKIP_VERIFY." },
};

/** Flags that every command takes. */
export const COMMON_FLAGS: Record<string, FlagSpec> = {
  'no-color': { type: 'bool', help: 'Plain text; or NOMAD_CLI_NO_COLOR.' },
  'force-color': { type: 'bool', help: 'Colour even where the output is no terminal; or NOMAD_CLI_FORCE_COLOR.' },
  help: { type: 'bool', help: 'This text.' },
};

export interface ParsedFlags {
  args: string[];
  flags: Flags;
}

/**
 * Reads flags as Go programs take them, one dash or two: `-x`, `-x=v`, `-x v`. Flags may stand before or after arguments;
 * `--` ends them. With `passThrough` the first argument ends them too (and a `--` right behind it is dropped).
 */
export function parseFlags(argv: string[], specs: Record<string, FlagSpec>, passThrough = false): ParsedFlags {
  const values = new Map<string, FlagValue>();
  const args: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string;
    if (word === '--') {
      args.push(...argv.slice(i + 1));
      break;
    }
    const match = /^--?([a-zA-Z?][^=]*)(?:=([\s\S]*))?$/.exec(word);
    // A lone dash is standard input, -5 is a number.
    if (!match) {
      args.push(word);
      if (!passThrough) continue;
      args.push(...argv.slice(argv[i + 1] === '--' ? i + 2 : i + 1));
      break;
    }
    const name = match[1] === 'h' || match[1] === '?' ? 'help' : (match[1] as string);
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (!spec) throw unknownFlag(name, specs);
    let given = match[2];
    if (given === undefined && spec.type !== 'bool') {
      i++;
      given = argv[i];
      if (given === undefined) throw new UsageError(`flag needs a value: -${name}=<${spec.value ?? 'value'}>`);
    }
    setValue(values, name, spec, given);
  }
  return { args, flags: view(values) };
}

function unknownFlag(name: string, specs: Record<string, FlagSpec>): UsageError {
  const near = nearest(name, Object.keys(specs));
  return new UsageError(`unknown flag: -${name}${near ? `; did you mean -${near}?` : ''}`);
}

function setValue(values: Map<string, FlagValue>, name: string, spec: FlagSpec, given: string | undefined): void {
  switch (spec.type) {
    case 'bool':
      values.set(name, readBool(name, given));
      return;
    case 'string':
      values.set(name, given ?? '');
      return;
    case 'int':
      if (!/^[+-]?\d{1,15}$/.test(given ?? ''))
        throw new UsageError(`-${name} must be a whole number, not ${JSON.stringify(given)}`);
      values.set(name, Number(given));
      return;
    case 'duration': {
      const parsed = parseDuration(given ?? '');
      if (!parsed.ok) throw new UsageError(`-${name}: ${parsed.error}`);
      values.set(name, parsed.value);
      return;
    }
    case 'list':
      values.set(name, [...((values.get(name) as string[] | undefined) ?? []), given ?? '']);
      return;
  }
}

function readBool(name: string, given: string | undefined): boolean {
  if (given === undefined || /^(1|t|true)$/i.test(given)) return true;
  if (/^(0|f|false)$/i.test(given)) return false;
  throw new UsageError(`-${name} must be true or false, not ${JSON.stringify(given)}`);
}

function view(values: Map<string, FlagValue>): Flags {
  return {
    bool: (name) => values.get(name) === true,
    optionalBool: (name) => values.get(name) as boolean | undefined,
    string: (name) => values.get(name) as string | undefined,
    int: (name) => values.get(name) as number | undefined,
    duration: (name) => values.get(name) as number | undefined,
    list: (name) => (values.get(name) as string[] | undefined) ?? [],
  };
}

/** The flags of a command as its help shows them. */
export function flagHelp(specs: Record<string, FlagSpec>): string {
  return Object.entries(specs)
    .map(
      ([name, spec]) =>
        `  -${name}${spec.type === 'bool' ? '' : `=<${spec.value ?? 'value'}>`}\n    ${wrap(spec.help, 76)}\n`,
    )
    .join('\n');
}

function wrap(text: string, width: number): string {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const last = lines[lines.length - 1] as string;
    if (last !== '' && last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines.join('\n    ');
}
