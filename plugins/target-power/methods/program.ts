import { execFile } from 'node:child_process';

/** Any of the programs is done by then. */
const PROGRAM_TIMEOUT_MS = 60_000;
const WORDS_MAX = 300;

export interface ProgramFailure extends Error {
  /** What it said of it. */
  stderr: string;
}

/** Runs a program to its end. Rejects with what it said last; its arguments are not repeated. */
export function runProgram(
  [program = '', ...args]: readonly string[],
  { signal, env = {}, what }: { signal: AbortSignal; env?: Record<string, string>; what: string },
): Promise<string> {
  const options = {
    env: { ...process.env, ...env },
    signal,
    timeout: PROGRAM_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  } as const;
  return new Promise((resolve, reject) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      if (!error) {
        resolve(stdout);
        return;
      }
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      const late = error.killed === true && !signal.aborted;
      const said = stderr.trim().slice(-WORDS_MAX);
      const why = missing
        ? 'it is not installed on this server'
        : late
          ? `no end within ${PROGRAM_TIMEOUT_MS / 1_000} s`
          : said || `it ended with code ${error.code ?? 'none'}`;
      reject(Object.assign(new Error(`${what}: ${program}: ${why}`), { stderr: said }));
    });
  });
}
