import type { Duplex } from 'node:stream';

/** People at the tasks of this machine: what is typed into one, and what is followed. */
export class Sessions {
  private readonly open = new Map<Duplex, string>();

  /** Counts a session until its stream closes. */
  add(stream: Duplex, what: string): void {
    if (stream.destroyed) return;
    this.open.set(stream, what);
    stream.once('close', () => this.open.delete(stream));
  }

  /** A line for each, for people: `exec in 1b2c3d4e`. */
  list(): string[] {
    return [...this.open.values()];
  }
}
