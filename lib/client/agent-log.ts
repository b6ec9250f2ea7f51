import type { Duplex } from 'node:stream';
import type { StreamFrame } from '../structs/rpc.js';
import { formatLogJson, formatLogLine, type LogLevel, type LogListen } from '../util/log.js';

/** Lines that may wait for a reader; what is more is dropped and counted, for the agent must not slow down for who watches it. */
const WAITING_MAX = 512;

/** Writes what the agent says from now on into `stream`, a frame a line, until that is closed. */
export function followLog(listen: LogListen, how: { level: LogLevel; json: boolean }, stream: Duplex): void {
  let dropped = 0;
  const frame = (text: string): StreamFrame => ({ Data: Buffer.from(`${text}\n`) });
  const cancel = listen(how.level, (record) => {
    if (stream.writableLength >= WAITING_MAX) {
      dropped++;
      return;
    }
    if (dropped > 0) stream.write(frame(`[WARN] ${dropped} lines were left out: they are read too slowly`));
    dropped = 0;
    const time = new Date().toISOString();
    stream.write(frame(how.json ? formatLogJson(record, time) : formatLogLine(record, time)));
  });
  stream.once('close', cancel);
  // Nobody sends anything here; without a reader the other side's end would not be seen.
  stream.resume();
}
