import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type Docker from 'dockerode';
import type { DriverOptions, TaskConfig } from '../../lib/plugin/sdk/driver.js';
import { type LogPosition, LogRotator } from '../../lib/plugin/sdk/log-rotator.js';
import { reasonOf, statusOf } from './engine.js';
import { type LogRecord, LogRecordReader, sinceText, timeNs } from './log-records.js';

// The engine keeps the output, we copy it to the task's log files. The cursor says up to which record, and where in the
// files that was. After a crash of the agent the files may hold more than the cursor tells: they are cut back to it, and
// the engine gives the rest again. So every record is there exactly once, without a disk write for each.

const STREAMS = ['stdout', 'stderr'] as const;
type Stream = (typeof STREAMS)[number];

const CURSOR_INTERVAL_MS = 250;
const RETRY_MS = 500;
/** Records of one stream come in the order of their times, the two streams' may be out of step by a little. */
const OVERLAP_NS = 1_000_000_000n;

/** How far one stream was copied: the last record's time, how many records had that very time, and where the file ended. */
interface StreamCursor extends LogPosition {
  time: string;
  sameTime: number;
}

type Cursor = Record<Stream, StreamCursor | null>;

export interface LogCollectorOptions {
  container: Docker.Container;
  task: TaskConfig;
  tty: boolean;
  cursorPath: string;
  log: DriverOptions['log'];
  /** Tells a person, in the task's events. */
  tell: (message: string) => void;
}

/** Copies a container's output to its task's files until the container has ended and all was copied. */
export class LogCollector {
  /** Settles when everything was copied, or nothing more can be. Never rejects. */
  readonly done: Promise<void>;
  readonly #options: LogCollectorOptions;
  readonly #rotators = new Map<Stream, LogRotator>();
  #cursor: Cursor = { stdout: null, stderr: null };
  #cursorSaved = '';
  #saver: NodeJS.Timeout | undefined;
  #heard = '';
  readonly #letGo = new AbortController();

  constructor(options: LogCollectorOptions) {
    this.#options = options;
    this.done = this.#run().catch((error) => {
      options.log('error', 'output can no longer be copied', { task: options.task.id, error: String(error) });
    });
  }

  /** Lets go: what was copied is noted, so that the next collector goes on from there. */
  async stop(): Promise<void> {
    this.#letGo.abort();
    await this.done;
  }

  /** Removes the cursor, when nobody will ask again. */
  async forget(): Promise<void> {
    await this.stop();
    await rm(this.#options.cursorPath, { force: true });
  }

  async #run(): Promise<void> {
    await this.#open();
    try {
      await this.#copyAll();
    } finally {
      clearTimeout(this.#saver);
      await this.#save();
      for (const rotator of this.#rotators.values()) await rotator.close();
    }
  }

  async #open(): Promise<void> {
    const { task, cursorPath } = this.#options;
    const text = await readFile(cursorPath, 'utf8').catch(() => '');
    if (text !== '') this.#cursor = parseCursor(text);
    for (const stream of STREAMS) {
      const resumeAt = this.#cursor[stream];
      const rotator = await LogRotator.open({
        dir: task.logDir,
        name: `${task.name}.${stream}`,
        maxFiles: task.logMaxFiles,
        maxFileSizeBytes: task.logMaxFileSizeBytes,
        ...(resumeAt ? { resumeAt } : {}),
      });
      this.#rotators.set(stream, rotator);
      // From the first byte on there must be a place to be cut back to.
      this.#cursor[stream] ??= { time: '', sameTime: 0, ...rotator.position };
    }
    await this.#save();
  }

  async #copyAll(): Promise<void> {
    const { signal } = this.#letGo;
    let wasRunning = true;
    while (!signal.aborted) {
      try {
        // While it runs the answer goes on and on; afterwards one that ends by itself has all there is.
        await this.#copy(wasRunning);
        if (!wasRunning) return;
        wasRunning = (await this.#options.container.inspect()).State.Running;
      } catch (error) {
        if (signal.aborted || statusOf(error) === 404) return;
        if (statusOf(error) !== undefined && /does not support reading/.test(reasonOf(error))) {
          this.#options.tell('Its logging driver does not let output be read: alloc logs shows none');
          return;
        }
        // An engine that is away may come back; whether the container did is asked then.
        await sleep(RETRY_MS);
        wasRunning = await this.#options.container.inspect().then(
          ({ State }) => State.Running,
          () => true,
        );
      }
    }
  }

  async #copy(follow: boolean): Promise<void> {
    const { container, tty } = this.#options;
    const resume = resumeFilter(this.#cursor, (stream, from, to) => {
      const where = { task: this.#options.task.id, stream, from, to };
      this.#options.log('warn', 'output is lost: the engine had rotated it away before it was read', where);
      this.#options.tell(`What it printed to ${stream} between ${from} and ${to} is lost: ${ROTATED}`);
    });
    const query = { stdout: true, stderr: true, timestamps: true, ...(resume.since ? { since: resume.since } : {}) };
    if (!follow) {
      const all = await container.logs({ ...query, since: resume.since ?? '0', follow: false } as never);
      const reader = new LogRecordReader(tty);
      await this.#write([...reader.read(all as unknown as Buffer), ...reader.end()].filter(resume.isNew));
      this.#hear(reader.problem);
      return;
    }
    // Podman does not answer at all before the first record: only the signal ends the wait for a task that prints nothing.
    const asked = container.logs({ ...query, follow: true, abortSignal: this.#letGo.signal } as never);
    const answer = (await asked) as unknown as Readable;
    const reader = new LogRecordReader(tty);
    let bytes = 0;
    let silence: NodeJS.Timeout | undefined;
    try {
      for await (const chunk of answer) {
        clearTimeout(silence);
        bytes += (chunk as Buffer).length;
        await this.#write(reader.read(chunk as Buffer).filter(resume.isNew));
        // Engines before 23 lose their place for ever when they rotate the file that is being followed: a follower that fell silent
        // after much output asks again, from where it was.
        if (bytes >= MUCH_BYTES) silence = setTimeout(() => answer.destroy(), SILENCE_MS);
      }
    } finally {
      clearTimeout(silence);
    }
    // It may say the same at once again.
    if (this.#hear(reader.problem)) await sleep(RETRY_MS);
  }

  /** Tells once what the engine says of its copy of the output; whether it said something. */
  #hear(problem: string): boolean {
    if (problem !== '' && problem !== this.#heard) {
      this.#options.log('warn', 'the engine cannot read output back', { task: this.#options.task.id, problem });
      this.#options.tell(`The engine cannot read all of its output back: ${problem}`);
      this.#heard = problem;
    }
    return problem !== '';
  }

  async #write(records: LogRecord[]): Promise<void> {
    for (const stream of STREAMS) {
      const own = records.filter((record) => record.stream === stream);
      const rotator = this.#rotators.get(stream);
      const last = own.at(-1);
      if (!rotator || !last) continue;
      const before = this.#cursor[stream];
      await this.#writeOrDrop(rotator, Buffer.concat(own.map((record) => record.data)));
      let sameTime = before?.time === last.time ? before.sameTime : 0;
      for (const record of own) if (record.time === last.time) sameTime++;
      this.#cursor[stream] = { time: last.time, sameTime, ...rotator.position };
      // Rotation removes old files: the place to be cut back to must not be among them.
      if (before?.index !== rotator.position.index) await this.#save();
      else this.#saveSoon();
    }
  }

  /** A task that prints nothing costs no timer. */
  #saveSoon(): void {
    this.#saver ??= setTimeout(() => {
      this.#saver = undefined;
      // A disk that is full for the moment costs nothing but a longer way back after a crash.
      void this.#save().catch(() => {});
    }, CURSOR_INTERVAL_MS);
  }

  /** A full disk must not end the copying: it goes on when there is room, and what lies between is lost. */
  async #writeOrDrop(rotator: LogRotator, data: Buffer): Promise<void> {
    try {
      await rotator.write(data);
    } catch (error) {
      this.#options.log('warn', 'output could not be written', { task: this.#options.task.id, error: String(error) });
    }
  }

  async #save(): Promise<void> {
    const text = JSON.stringify(this.#cursor);
    if (text === this.#cursorSaved) return;
    this.#cursorSaved = text;
    const { cursorPath } = this.#options;
    const fresh = `${cursorPath}.${++saves}`;
    await writeFile(fresh, text);
    await rename(fresh, cursorPath);
  }
}

/** So much output may have made the engine rotate its own file. */
const MUCH_BYTES = 1024 * 1024;
const SILENCE_MS = 3_000;

const ROTATED =
  'the engine had rotated it away before it was read (max-size and max-file in logging { config } keep more)';

let saves = 0;

function parseCursor(text: string): Cursor {
  try {
    return JSON.parse(text) as Cursor;
  } catch {
    return { stdout: null, stderr: null };
  }
}

/**
 * What to ask the engine for, and which of its records were copied already. `onGap` hears of a stream whose last copied record
 * the engine has no more: what followed it up to the first that is there may be gone too.
 */
function resumeFilter(
  cursor: Cursor,
  onGap: (stream: Stream, from: string, to: string) => void,
): { since: string | undefined; isNew: (record: LogRecord) => boolean } {
  const marks = new Map<Stream, { ns: bigint; left: number; seen: boolean; passed: boolean }>(
    STREAMS.flatMap((stream) => {
      const found = cursor[stream];
      return found && found.time !== ''
        ? [[stream, { ns: timeNs(found.time), left: found.sameTime, seen: false, passed: false }] as const]
        : [];
    }),
  );
  const oldest = [...marks.values()].reduce<bigint | undefined>(
    (least, { ns }) => (least === undefined || ns < least ? ns : least),
    undefined,
  );
  return {
    since: oldest === undefined ? undefined : sinceText(oldest - OVERLAP_NS),
    isNew(record) {
      const mark = marks.get(record.stream);
      if (!mark || mark.passed) return true;
      const ns = timeNs(record.time);
      if (ns < mark.ns) return false;
      if (ns === mark.ns && mark.left > 0) {
        mark.left--;
        mark.seen = true;
        return false;
      }
      mark.passed = true;
      if (!mark.seen) onGap(record.stream, cursor[record.stream]?.time ?? '', record.time);
      return true;
    },
  };
}
