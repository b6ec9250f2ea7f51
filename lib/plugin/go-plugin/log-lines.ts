import type { DriverOptions } from '../sdk/driver.js';

type Level = Parameters<DriverOptions['log']>[0];

/** What a plugin says in one line: go-plugin's libraries log JSON, `{"@level":…,"@message":…,"@module":…}`. */
export interface PluginLogLine {
  level: Level;
  message: string;
  fields: Record<string, string | number | boolean | null>;
}

/** A longer line is cut. */
export const LOG_LINE_MAX = 16_384;
const FIELDS_MAX = 50;

/** Reads a line of a plugin's error output; whatever is not JSON of that form is told as it is. */
export function parseLogLine(line: string): PluginLogLine | null {
  const text = line.length > LOG_LINE_MAX ? `${line.slice(0, LOG_LINE_MAX)}…` : line;
  if (text.trim() === '') return null;
  const parsed = text.startsWith('{') ? parseJson(text) : undefined;
  const message = parsed?.['@message'];
  if (!parsed || typeof message !== 'string') return { level: levelOfPlain(text), message: text.trimEnd(), fields: {} };
  const fields: PluginLogLine['fields'] = {};
  for (const [key, value] of Object.entries(parsed).slice(0, FIELDS_MAX)) {
    if (key === '@message' || key === '@level' || key === '@timestamp') continue;
    const name = key === '@module' ? 'module' : key;
    fields[name] = typeof value === 'object' && value !== null ? JSON.stringify(value) : (value as string);
  }
  return { level: levelOf(parsed['@level']), message, fields };
}

/** Puts chunks together to lines; what has no end yet is kept up to a limit. */
export class LineSplitter {
  #rest = '';
  readonly #onLine: (line: string) => void;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#onLine(line);
    if (this.#rest.length > LOG_LINE_MAX) this.end();
  }

  /** Gives out what has no end. */
  end(): void {
    if (this.#rest !== '') this.#onLine(this.#rest);
    this.#rest = '';
  }
}

function levelOf(level: unknown): Level {
  if (level === 'trace' || level === 'debug') return 'debug';
  return level === 'warn' || level === 'error' ? level : 'info';
}

/** hclog's text form is `2026-01-01T00:00:00.000Z [WARN]  message`; a Go program that dies begins with "panic:". */
function levelOfPlain(text: string): Level {
  const word = /^\S*\s*\[(TRACE|DEBUG|INFO|WARN|ERROR)\]/.exec(text)?.[1];
  if (word) return levelOf(word.toLowerCase());
  return /^(panic|fatal error):/.test(text) ? 'error' : 'info';
}

function parseJson(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
