/**
 * Takes one \r of two from the ends of lines that went through two terminals. runc tells the inner one to add none, as the outer one does
 * it, but only after the command has begun: its first lines have got one from each.
 */
export class SingleReturns {
  #last = '';
  #held = '';

  take(data: Buffer): Buffer {
    const text = this.#held + data.toString('latin1');
    const known = this.#last + text;
    // Whether it is one too many shows in what follows.
    this.#held = known.endsWith('\r\r') ? '\r' : '';
    const ready = known.slice(0, known.length - this.#held.length).replaceAll('\r\r\n', '\r\n');
    const said = ready.slice(this.#last.length);
    this.#last = ready.slice(-1);
    return Buffer.from(said, 'latin1');
  }

  /** What was held back, when nothing follows. */
  rest(): Buffer {
    return Buffer.from(this.#held, 'latin1');
  }
}
