/** Lets work for one key be done one after the other, and no more than `abreast` at a time in all. First come, first served. */
export class Turns {
  readonly #abreast: number;
  readonly #waiting: (() => void)[] = [];
  readonly #last = new Map<string, Promise<unknown>>();
  #running = 0;

  constructor(abreast: number) {
    this.#abreast = abreast;
  }

  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const inTurn = async (): Promise<T> => {
      if (this.#running >= this.#abreast) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      else this.#running++;
      try {
        return await work();
      } finally {
        // The place is handed on, or given up.
        const next = this.#waiting.shift();
        if (next) next();
        else this.#running--;
      }
    };
    const before = this.#last.get(key) ?? Promise.resolve();
    const result = before.then(inTurn, inTurn);
    const settled = result.then(
      () => {},
      () => {},
    );
    this.#last.set(key, settled);
    void settled.then(() => {
      if (this.#last.get(key) === settled) this.#last.delete(key);
    });
    return result;
  }
}
