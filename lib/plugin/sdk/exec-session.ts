import { Duplex } from 'node:stream';
import type { ExecInput, ExecOutput } from '../../structs/rpc.js';

/** What a driver does with what the other side of a session says. */
export interface ExecHandlers {
  onInput: (input: ExecInput) => void;
  /** The other side went away before the command ended: it must be ended. */
  onAbandoned: () => void;
}

/** The driver's end of an exec session. */
export interface ExecSession {
  /** What `execTask` returns. */
  readonly stream: Duplex;
  say(output: ExecOutput): void;
  /** The command has ended: says so and ends the stream. */
  exited(exitCode: number, signal?: number): void;
  /** The command could not be run. */
  fail(error: Error): void;
}

/** Makes an exec session. Input that comes before `ready` settles is kept for then. */
export function openExecSession(ready: Promise<ExecHandlers>): ExecSession {
  let isOver = false;
  const stream = new Duplex({
    objectMode: true,
    read() {},
    write(input: ExecInput, _encoding, done) {
      ready.then(
        (handlers) => {
          if (!isOver) handlers.onInput(input);
          done();
        },
        () => done(),
      );
    },
    destroy(error, done) {
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
    say(output) {
      if (!isOver) stream.push(output);
    },
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
