import { fstatSync, readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { ApiError } from '../api.js';
import { type Command, type Flags, UsageError } from '../command.js';
import { takeArgs } from '../print.js';

const METHODS = ['GET', 'PUT', 'POST', 'DELETE', 'HEAD'];

export const command: Command = {
  usage: 'meshnomad operator api [options] <path>',
  about: `Sends a request to the HTTP API and prints the answer as it comes, with the connection and the token of every other
command. What is piped in is the body. Exit code 1 when the API refuses.

  meshnomad operator api /v1/jobs?prefix=web
  meshnomad operator api -X DELETE /v1/job/web
  echo '{"Count": 3}' | meshnomad operator api -X PUT /v1/some/path`,
  flags: {
    H: { type: 'list', value: 'name: value', help: 'A header more; may be given several times.' },
    X: { type: 'string', value: 'method', help: 'Default GET, or POST when a body is piped in.' },
    filter: { type: 'string', value: 'expression', help: 'Of a list, only those for which it holds.' },
    verbose: { type: 'bool', help: 'Say on standard error what is asked and how the answer begins.' },
  },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 1, 1, '<path>');
    const path = pathOf(args[0] as string, flags.string('filter'));
    const headers = readHeaders(flags);
    const body = readBody();
    const method = (flags.string('X') ?? (body === undefined ? 'GET' : 'POST')).toUpperCase();
    if (!METHODS.includes(method)) {
      throw new UsageError(`-X must be one of ${METHODS.join(', ')}, not ${JSON.stringify(method)}`);
    }
    const api = await connect();
    const tell = (text: string): void => {
      if (flags.bool('verbose')) output.error(text);
    };
    tell(`> ${method} ${path} at ${api.address}`);
    const response = await api.send(method, path, { ...(body === undefined ? {} : { body }), headers });
    const status = response.statusCode ?? 0;
    tell(`< ${status} ${response.statusMessage ?? ''}`);
    for (const [name, value] of Object.entries(response.headers)) tell(`< ${name}: ${String(value)}`);
    await print(response, output.raw.out);
    return status >= 200 && status < 300 ? 0 : 1;
  },
};

/** The path with the filter in its query; a missing `/v1` is put in front. */
function pathOf(given: string, filter: string | undefined): string {
  if (/^[a-z]+:\/\//i.test(given))
    throw new UsageError('give the path alone, such as /v1/jobs: the address is -address');
  const rooted = given.startsWith('/') ? given : `/${given}`;
  const path = /^\/v1(\/|$)/.test(rooted) ? rooted : `/v1${rooted}`;
  if (filter === undefined) return path;
  return `${path}${path.includes('?') ? '&' : '?'}filter=${encodeURIComponent(filter)}`;
}

function readHeaders(flags: Flags): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const text of flags.list('H')) {
    const [, name, value] = /^([\w-]+):[ \t]*([\x20-\x7e]*)$/.exec(text) ?? [];
    if (name === undefined || value === undefined) {
      throw new UsageError(`-H must be "name: value", not ${JSON.stringify(text)}`);
    }
    headers[name] = value;
  }
  return headers;
}

/** What is piped in, or comes from a file; a terminal and /dev/null are no body, nor is an empty pipe, as of a service. */
function readBody(): string | undefined {
  try {
    const stdin = fstatSync(0);
    if (!stdin.isFIFO() && !stdin.isFile() && !stdin.isSocket()) return undefined;
    return readFileSync(0, 'utf8') || undefined;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // Closed, or one of those pipes that say so when nothing is there.
    if (code === 'EBADF' || code === 'EAGAIN' || code === 'ENXIO') return undefined;
    throw new ApiError(0, `cannot read standard input: ${message}`);
  }
}

async function print(response: IncomingMessage, out: { write(data: Uint8Array): boolean; once: Waits }): Promise<void> {
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      if (!out.write(chunk)) await new Promise<void>((resolve) => out.once('drain', resolve));
    }
  } catch (error) {
    throw new ApiError(0, `the agent closed the connection in the middle of its answer: ${(error as Error).message}`);
  }
}

type Waits = (event: 'drain', listener: () => void) => unknown;
