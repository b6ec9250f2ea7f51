import type { Output } from './command.js';
import { localTime } from './format.js';

const LINE_EVERY_MS = 5_000;

/** One line that lives on a terminal; elsewhere a line for each few seconds, and for each change of what is done. */
export class LiveLine {
  readonly #output: Output;
  readonly #write: (line: string) => void;
  readonly #everyMs: number;
  #last = '';
  #lastMs = 0;
  #told = '';

  /** `write` takes the lines where no terminal is. */
  constructor(output: Output, write: (line: string) => void, everyMs = LINE_EVERY_MS) {
    this.#output = output;
    this.#write = write;
    this.#everyMs = everyMs;
  }

  /** `what` is the part of the text that is worth a line of its own as soon as it is another. */
  show(text: string, what: string): void {
    if (this.#output.tty) {
      this.#output.raw.out.write(`\r\x1b[K    ${text.slice(0, Math.max(20, this.#output.columns - 5))}`);
      this.#last = text;
      return;
    }
    const isDue = Date.now() - this.#lastMs >= this.#everyMs && text !== this.#last;
    if (what === this.#told && !isDue) return;
    this.#told = what;
    this.#last = text;
    this.#lastMs = Date.now();
    this.#write(`    ${localTime(new Date())}: ${text}`);
  }

  end(): void {
    if (this.#output.tty && this.#last !== '') this.#output.raw.out.write('\r\x1b[K');
  }
}
