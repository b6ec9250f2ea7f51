// The caller of a server whose thread is measured: a thread of its own, so that what it does costs the other none of its turns. It beats as
// a node does and reads as a person does, one after the other for as long as it is told to; and it asks for what it is told to.
import { Agent, get, request } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';

/** What the thread is told: to begin and end a measurement, that a beat was heard, to ask for something. */
export type ToPulse =
  | { readonly do: 'begin' }
  | { readonly do: 'end' }
  | { readonly do: 'heard'; readonly beat: number }
  | { readonly do: 'ask'; readonly id: number; readonly ask: Ask };

/** What the thread tells. */
export type FromPulse =
  | { readonly is: 'beat'; readonly beat: number }
  | { readonly is: 'delays'; readonly beatMs: number; readonly readMs: number }
  | { readonly is: 'answer'; readonly id: number; readonly answer: Answer };

/** One request, or as many at once as are to be made. */
export interface Ask {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly times: number;
}

/** What came back of the last of them. */
export interface Answer {
  readonly status: number;
  readonly bytes: number;
  readonly index: string;
}

/** Between two beats. */
const REST_MS = 4;

const port = parentPort;
if (!port) throw new Error('this is run in a thread of its own');
const { httpPort, readPath } = workerData as { httpPort: number; readPath: string };
const agent = new Agent({ keepAlive: true, maxSockets: 2000, maxFreeSockets: 2000 });
const heard = new Map<number, () => void>();
let beats = 0;
let isOn = false;
let running: Promise<void> = Promise.resolve();
const longest = { beatMs: 0, readMs: 0 };

const tell = (message: FromPulse): void => port.postMessage(message);

async function timed(act: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await act();
  return performance.now() - began;
}

const beat = (): Promise<void> =>
  new Promise((resolve) => {
    heard.set(++beats, resolve);
    tell({ is: 'beat', beat: beats });
  });

const read = (): Promise<void> =>
  new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: httpPort, path: readPath, agent };
    get(options, (response) => response.resume().on('end', resolve)).on('error', reject);
  });

async function run(): Promise<void> {
  while (isOn) {
    longest.beatMs = Math.max(longest.beatMs, await timed(beat));
    longest.readMs = Math.max(longest.readMs, await timed(read));
    await new Promise((resolve) => setTimeout(resolve, REST_MS));
  }
}

function askOnce({ method, path, body }: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port: httpPort, method, path, agent }, (response) => {
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, bytes, index: String(response.headers['x-nomad-index'] ?? '') }),
      );
    });
    call.on('error', reject);
    call.end(body);
  });
}

port.on('message', async (message: ToPulse) => {
  switch (message.do) {
    case 'begin':
      Object.assign(longest, { beatMs: 0, readMs: 0 });
      isOn = true;
      running = run();
      return;
    case 'end':
      isOn = false;
      await running;
      tell({ is: 'delays', ...longest });
      return;
    case 'heard':
      heard.get(message.beat)?.();
      heard.delete(message.beat);
      return;
    case 'ask': {
      const answers = await Promise.all(Array.from({ length: message.ask.times }, () => askOnce(message.ask)));
      const answer = answers.at(-1) ?? { status: 0, bytes: 0, index: '' };
      tell({ is: 'answer', id: message.id, answer });
    }
  }
});
