import { formatLogLine, LOG_LEVELS, type LogLevel, type LogRecord } from '../util/log.js';

export interface LogSink {
  /** Null: nothing. */
  level: LogLevel | null;
  /** JSON lines instead of text. */
  readonly json: boolean;
  write(record: LogRecord): void;
}

/** Writes what is at least as grave as `level` to `out`, a line each, with the time it is written. */
export function logSink(options: { level: LogLevel | null; json: boolean; out: (line: string) => void }): LogSink {
  const sink: LogSink = {
    level: options.level,
    json: options.json,
    write(record) {
      if (sink.level === null || LOG_LEVELS.indexOf(record.level) < LOG_LEVELS.indexOf(sink.level)) return;
      const time = new Date().toISOString();
      options.out(options.json ? jsonLine(record, time) : formatLogLine(record, time));
    },
  };
  return sink;
}

function jsonLine({ level, name, message, fields }: LogRecord, time: string): string {
  return JSON.stringify({ ...fields, '@level': level, '@message': message, '@module': name, '@timestamp': time });
}
