import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { eventually } from './mesh-agent.js';

/** What a process in a lab says of itself, and when it was heard: a time of performance.now(). */
export interface LabEvent {
  readonly event: string;
  readonly atMs: number;
}

/** The near end of a process that runs `serveLab`: commands as lines of JSON, answers and events likewise. */
export class LabChild<E extends LabEvent> {
  readonly events: E[] = [];
  readonly child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  #next = 1;
  #said = '';

  constructor(child: ChildProcess) {
    this.child = child;
    if (!child.stdout || !child.stderr) throw new Error('a process in a lab talks over pipes');
    createInterface({ input: child.stdout }).on('line', (line) => this.#hear(line));
    child.stderr.on('data', (chunk: Buffer) => {
      this.#said = (this.#said + chunk).slice(-20_000);
    });
    child.once('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the process ended:\n${this.#said}`));
    });
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  /** What it logged. */
  get log(): string {
    return this.#said;
  }

  /** The first such event since `afterMs`. */
  event(name: E['event'], afterMs = 0, limitMs = 30_000): Promise<E> {
    return eventually(
      `${name} (${this.#said.slice(-1_500)})`,
      () => this.events.find(({ event, atMs }) => event === name && atMs >= afterMs),
      limitMs,
    );
  }

  ask<T>(command: object): Promise<T> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.child.stdin?.write(`${JSON.stringify({ id, ...command })}\n`);
    });
  }

  #hear(line: string): void {
    const message = JSON.parse(line) as E & { id?: number; value?: never; error?: string };
    if (message.id === undefined) {
      this.events.push({ ...message, atMs: performance.now() });
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.error === undefined) waiting?.resolve(message.value as never);
    else waiting?.reject(new Error(`${message.error}\n${this.#said}`));
  }
}
