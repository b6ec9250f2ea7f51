import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { bootId } from '../plugin/sdk/boot-id.js';
import { VOLUME_LEASE } from '../structs/rpc-volume.js';
import type { Millis } from '../util/clock.js';

// Tasks outlive the agent, and with them their claims on volumes: but who is to stop them when their lease ends, and no agent is
// there? A shell that does nothing but sleep and compare two numbers. The agent tells it in a file until when the lease stands,
// and where claimed volumes are mounted; when that time has come, lib/client/lease-fence.ts ends what uses them. Times are
// those of /proc/uptime: they know no jumps, and go on while the machine sleeps.

/**
 * From the last renewal on; later than the agent ends the allocations itself (VOLUME_LEASE.stopAfterMs), and early enough to have
 * killed and unmounted everything before the servers may pass the claim on.
 */
const FENCE_AFTER_MS: Millis = VOLUME_LEASE.passOnAfterMs - 30_000;
const NAME = 'meshnomad-volume-lease';
const SCRIPT = [
  'while [ -s "$1" ]; do',
  '  read -r until < "$1" && read -r up rest < /proc/uptime',
  '  if [ "${up%.*}" -ge "$until" ]; then',
  // When it is done, the file is gone. It may fail, in the middle of an upgrade for one: then it is tried again.
  '    "$2" --input-type=module -e "import(process.argv[1]).then((m) => m.fence(process.argv[2]))" "$3" "$1"',
  '  fi',
  '  sleep 2',
  'done',
].join('\n');

/** Where claimed volumes that may be written to are mounted: what is fenced first comes first. */
export interface LeaseNote {
  /** When the lease was renewed last, by the clock of the machine's uptime. */
  readonly renewedUptimeMs: number;
  readonly targets: readonly string[];
}

/** The agent's side of the guard: its file, and the shell that reads it. */
export class LeaseGuard {
  readonly #file: string;
  #written = '';
  /** The one this agent has begun: it cannot be told by its name yet while it is being started. */
  #begun: ChildProcess | null = null;

  /** `stateDir`: of the client. */
  constructor(stateDir: string) {
    this.#file = `${stateDir}/volume-lease`;
  }

  /** What an agent before this one has left, if the machine was not restarted since; null = nothing. */
  read(): LeaseNote | null {
    return readNote(this.#file);
  }

  /** Keeps the note, and somebody who reads it while there is something to guard. */
  keep(note: LeaseNote): void {
    if (note.targets.length === 0) {
      if (this.#written !== '') rmSync(this.#file, { force: true });
      this.#written = '';
      return;
    }
    const until = Math.floor((note.renewedUptimeMs + FENCE_AFTER_MS) / 1_000);
    const text = [until, Math.floor(note.renewedUptimeMs), bootId(), ...note.targets, ''].join('\n');
    if (text !== this.#written) {
      // Never half of it: the shell reads it at any time.
      writeFileSync(`${this.#file}.new`, text, { mode: 0o600 });
      renameSync(`${this.#file}.new`, this.#file);
      this.#written = text;
    }
    if (!this.#isGuarded()) this.#begin();
  }

  #isGuarded(): boolean {
    if (this.#begun?.pid !== undefined && this.#begun.exitCode === null && this.#begun.signalCode === null) return true;
    try {
      const pid = Number(readFileSync(`${this.#file}.pid`, 'utf8'));
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return words.includes(NAME) && words.includes(this.#file);
    } catch {
      return false;
    }
  }

  #begin(): void {
    const fence = new URL('./lease-fence.js', import.meta.url).href;
    const child = spawn('/bin/sh', ['-c', SCRIPT, NAME, this.#file, process.execPath, fence], {
      detached: true,
      stdio: 'ignore',
      cwd: '/',
    });
    child.on('error', () => {});
    child.unref();
    this.#begun = child;
    if (child.pid !== undefined) writeFileSync(`${this.#file}.pid`, String(child.pid), { mode: 0o600 });
  }
}

/** Milliseconds since the machine was started, its sleep among them. */
export function uptimeMs(): number {
  return Math.floor(Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1_000);
}

/** The note as it is on disk; null when there is none of this boot. */
export function readNote(file: string): LeaseNote | null {
  let lines: string[];
  try {
    lines = readFileSync(file, 'utf8').split('\n');
  } catch {
    return null;
  }
  const [, renewed, boot, ...targets] = lines;
  if (boot !== bootId() || !Number.isFinite(Number(renewed))) return null;
  return { renewedUptimeMs: Number(renewed), targets: targets.filter((target) => target !== '') };
}
