import { ERRORS, type ErrorCode, MeshError } from '../structs/errors.js';
import { replacedText } from '../util/replaced.js';

/** Calls of the other side that are served at a time; blocking queries are among them. */
const CALLS_MAX = 1_024;
/** And what their questions may take together; one of any size is always served. */
const CALLS_MAX_BYTES = 64 * 1024 * 1024;

/** The calls of the other side that are under way on a link. */
export class Serving {
  readonly #calls = new Map<number, { controller: AbortController; bytes: number }>();
  #bytes = 0;

  get size(): number {
    return this.#calls.size;
  }

  has(id: number): boolean {
    return this.#calls.has(id);
  }

  /** Whether one more of this size is too much. */
  full(bytes: number): boolean {
    return this.#calls.size >= CALLS_MAX || (this.#bytes > 0 && this.#bytes + bytes > CALLS_MAX_BYTES);
  }

  /** The returned signal is aborted when the caller no longer waits. */
  begin(id: number, bytes: number): AbortSignal {
    const controller = new AbortController();
    this.#calls.set(id, { controller, bytes });
    this.#bytes += bytes;
    return controller.signal;
  }

  end(id: number): void {
    this.#bytes -= this.#calls.get(id)?.bytes ?? 0;
    this.#calls.delete(id);
  }

  cancel(id: number): void {
    this.#calls.get(id)?.controller.abort();
  }

  cancelAll(): void {
    for (const { controller } of this.#calls.values()) controller.abort();
    this.#calls.clear();
    this.#bytes = 0;
  }
}

/** A failure as it travels. */
export function errorBody(error: unknown): Record<string, unknown> {
  if (error instanceof MeshError) return { code: error.code, message: error.message };
  const message = replacedText(error) ?? (error instanceof Error ? error.message : String(error));
  return { code: 'E_INTERNAL', message };
}

/** A failure as it arrives. */
export function bodyError(body: Record<string, unknown>): MeshError {
  const code = String(body['code']);
  return new MeshError(Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'E_INTERNAL', String(body['message']));
}
