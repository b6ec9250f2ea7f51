import type { MeshClock } from '../clock.js';
import type { Connection } from '../network.js';

type Way = (signal: AbortSignal) => Promise<Connection>;

/**
 * The first connection that either way gives: the second begins when the first has failed, or has taken so long. Whichever is
 * late is called off. Rejects with what both say.
 */
export async function eitherWay(
  first: Way,
  second: Way,
  options: { clock: MeshClock; afterMs: number; signal: AbortSignal },
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
  const waited = new Promise<void>((resolve) => {
    const cancel = clock.setTimeout(afterMs, resolve);
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
