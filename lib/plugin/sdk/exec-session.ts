import { Duplex } from 'node:stream';
import type { ExecInput, ExecOutput } from '../../structs/rpc.js';

/** What a driver does with what the other side of a session says. */
export interface ExecHandlers {
  /** The next input comes when what it gives has settled: a command that does not read holds the sender up, not the memory. */
  onInput: (input: ExecInput) => unknown;
  /** The other side went away before the command ended: it must be ended. */
  onAbandoned: () => void;
}

/** The driver's end of an exec session. */
export interface ExecSession {
  /** What `execTask` returns. */
  readonly stream: Duplex;
  /** False: the reader is behind, and further output is better kept back until there is `room`. */
  say(output: ExecOutput): boolean;
  /** Settles when the reader has caught up, or has gone away. */
  room(): Promise<void>;
  /** The command has ended: says so and ends the stream. */
  exited(exitCode: number, signal?: number): void;
  /** The command could not be run. */
  fail(error: Error): void;
}

/** Makes an exec session. Input that comes before `ready` settles is kept for then. */
export function openExecSession(ready: Promise<ExecHandlers>): ExecSession {
  let isOver = false;
  let waiting: (() => void)[] = [];
  const wake = (): void => {
    const woken = waiting;
    waiting = [];
    for (const settle of woken) settle();
  };
  const stream = new Duplex({
    objectMode: true,
    read: wake,
    write(input: ExecInput, _encoding, done) {
      // Input that fails does so because the command ends: its end is told.
      const taken = ready.then((handlers) => (isOver ? undefined : handlers.onInput(input)));
      taken.then(
        () => done(),
        () => done(),
      );
    },
    destroy(error, done) {
      wake();
      if (!isOver) {
        isOver = true;
        ready.then(
          (handlers) => handlers.onAbandoned(),
          () => {},
        );
      }
      done(error);
    },
  });
  const session: ExecSession = {
    stream,
    say: (output) => isOver || stream.push(output),
    room: () => new Promise((settle) => void (stream.destroyed ? settle() : waiting.push(settle))),
    exited(exitCode, signal) {
      session.say({ Type: 'stdout-close' });
      session.say({ Type: 'stderr-close' });
      session.say({ Type: 'exited', ExitCode: exitCode, ...(signal ? { Signal: signal } : {}) });
      isOver = true;
      stream.push(null);
    },
    fail(error) {
      isOver = true;
      stream.destroy(error);
    },
  };
  ready.catch((error: Error) => session.fail(error));
  return session;
}
