import { nearest } from '../util/nearest.js';

/**
 * The signals that the systems know on which agents run. Which of them one node has is its attribute `os.signals`; how it
 * numbers them is its own affair.
 */
const SIGNALS =
  'HUP INT QUIT ILL TRAP ABRT IOT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM CHLD STKFLT CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO POLL PWR SYS EMT INFO'
    .split(' ')
    .map((word) => `SIG${word}`);

const NUMBER_MAX = 64;

/** The signal's whole name ("SIGHUP") for "SIGHUP" or "hup"; null for a number, which has one on the node only; undefined: no signal. */
export function signalCalled(text: string): string | null | undefined {
  const word = text.trim().toUpperCase();
  if (/^\d+$/.test(word)) return Number(word) > 0 && Number(word) <= NUMBER_MAX ? null : undefined;
  return SIGNALS.find((name) => name === word || name === `SIG${word}`);
}

/** What is wrong with a signal of a job, in which no references are filled in; '' = nothing. */
export function signalProblem(text: string): string {
  if (text === '' || signalCalled(text) !== undefined) return '';
  const word = text.trim().toUpperCase();
  const near = nearest(word.startsWith('SIG') ? word : `SIG${word}`, SIGNALS);
  return `${JSON.stringify(text)} is no signal${near ? `; did you mean "${near}"?` : ': write one such as "SIGHUP"'}`;
}
