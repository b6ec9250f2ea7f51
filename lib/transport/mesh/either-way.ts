import type { MeshClock } from '../clock.js';
import type { Connection } from '../network.js';

/** What is to be waited for may turn out while it is waited. */
const LOOK_MS = 250;

type Way = (signal: AbortSignal) => Promise<Connection>;

/**
 * The first connection that either way gives: the second begins when the first has failed, or has taken so long as `afterMs` says
 * by then. Whichever is late is called off. Rejects with what both say.
 */
export async function eitherWay(
  first: Way,
  second: Way,
  options: { clock: MeshClock; afterMs: () => number; signal: AbortSignal },
): Promise<Connection> {
  const { clock, afterMs, signal } = options;
  const stopFirst = new AbortController();
  const stopSecond = new AbortController();
  let taken = false;
  const taking =
    (stop: AbortController) =>
    (connection: Connection): Connection => {
      if (taken) {
        connection.stream.destroy();
        throw new Error('the other way was faster');
      }
      taken = true;
      stop.abort(new Error('the other way was faster'));
      return connection;
    };
  const one = first(AbortSignal.any([signal, stopFirst.signal])).then(taking(stopSecond));
  const beganMs = clock.monotonicMs();
  const waited = new Promise<void>((resolve) => {
    let cancel = (): void => {};
    const look = (): void => {
      const leftMs = afterMs() - (clock.monotonicMs() - beganMs);
      cancel = clock.setTimeout(Math.min(LOOK_MS, Math.max(0, leftMs)), leftMs <= LOOK_MS ? resolve : look);
    };
    look();
    const done = (): void => {
      cancel();
      resolve();
    };
    one.then(done, done);
  });
  const other = waited.then(() => second(AbortSignal.any([signal, stopSecond.signal]))).then(taking(stopFirst));
  try {
    return await Promise.any([one, other]);
  } catch (error) {
    throw new Error((error as AggregateError).errors.map(({ message }) => String(message)).join('; '));
  }
}
