export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

export const LOG_LEVELS: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error'];

export type LogFields = Record<string, string | number | boolean | null | undefined>;

/** One thing that happened. `name` is the part of the agent that says it ("client.alloc_runner"). */
export interface LogRecord {
  level: LogLevel;
  name: string;
  message: string;
  fields: LogFields;
}

/** Says what happens, to whom it may concern; never a secret. */
export interface Log {
  trace(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log for a part of this part: its name is appended after a dot. */
  child(name: string): Log;
}

/** A log that hands each record to `sink`, which decides on level, time and format. */
export function createLog(sink: (record: LogRecord) => void, name = ''): Log {
  const say =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void =>
      sink({ level, name, message, fields });
  return {
    trace: say('trace'),
    debug: say('debug'),
    info: say('info'),
    warn: say('warn'),
    error: say('error'),
    child: (part) => createLog(sink, name === '' ? part : `${name}.${part}`),
  };
}

/** Tells what is logged from now on, of at least a level; gives what ends it. */
export type LogListen = (level: LogLevel, hear: (record: LogRecord) => void) => () => void;

/** A log that says nothing. */
export const silentLog: Log = createLog(() => {});

/** `2026-05-01T10:00:00.000Z [INFO]  client.alloc_runner: task started: task=web pid=7`, as Nomad prints it. */
export function formatLogLine(record: LogRecord, time: string): string {
  const level = `[${record.level.toUpperCase()}]`.padEnd(7);
  const fields = Object.entries(record.fields)
    .filter(([, value]) => value !== undefined)
    .map(
      ([key, value]) =>
        `${key}=${typeof value === 'string' && /[\s"=]|^$/.test(value) ? JSON.stringify(value) : value}`,
    );
  const text = fields.length > 0 ? `${record.message}: ${fields.join(' ')}` : record.message;
  return `${time} ${level} ${record.name === '' ? '' : `${record.name}: `}${text}`;
}

/** The same as one JSON object. */
export function formatLogJson({ level, name, message, fields }: LogRecord, time: string): string {
  return JSON.stringify({ ...fields, '@level': level, '@message': message, '@module': name, '@timestamp': time });
}
