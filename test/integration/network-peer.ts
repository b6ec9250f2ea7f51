// A process with one network over the DHT, for network.test.ts: commands come as lines of JSON on standard input, answers go
// out as lines of JSON. Usage: node network-peer.js '{"bootstrap":[…],"seed":"…"}'
import { createNode } from '../../lib/transport/dht/node.js';
import type { Connection, DialOptions, Network } from '../../lib/transport/network.js';
import type { Address } from '../../lib/transport/tcp.js';
import { type LabStart, openLabNetwork, readStart, say, serveLab } from '../support/lab-process.js';

const HELLO_MS = 2_000;
const BEAT_MS = 250;
const SILENCE_MS = 1_500;
const DIAL_AGAIN_MS = 200;

interface Start extends LabStart {
  /** Only a node of the DHT, at these addresses. */
  serve?: Address[];
}

interface Command {
  do: 'listen' | 'dial' | 'keep' | 'discover' | 'report' | 'refresh' | 'relay' | 'stop';
  key?: string;
  dial?: DialOptions;
  topic?: string;
  relays?: string[];
}

const start = readStart<Start>();
if (start.serve) await serveDht(start.serve, start.bootstrap);
else await takeCommands(start);

async function serveDht(addresses: readonly Address[], bootstrap: readonly Address[]): Promise<void> {
  for (const address of addresses) await createNode({ ...address, bootstrap, serves: true });
  say({ event: 'ready' });
  await serveLab(async () => {});
}

async function takeCommands(start: LabStart): Promise<void> {
  const { network } = await openLabNetwork(start);
  network.onChange(() => say({ event: 'changed' }));
  say({ event: 'ready', key: network.key });
  await serveLab((command: Command) => act(network, command));
}

async function act(network: Network, command: Command): Promise<unknown> {
  switch (command.do) {
    case 'listen':
      return network.listen({
        admit: () => true,
        onConnection: (connection) => answer(network, connection),
        relays: () => command.relays ?? [],
      });
    case 'dial':
      return greet(network, command);
    case 'keep':
      void keep(network, command);
      return;
    case 'discover': {
      const topic = Buffer.from(command.topic ?? '', 'hex');
      network.discover([topic], { announce: true, onFound: (found) => say({ event: 'found', ...found }) });
      return;
    }
    case 'report':
      return network.report();
    case 'refresh':
      return network.refresh();
    case 'relay':
      return network.serveRelay(() => true);
    case 'stop':
      await network.close();
      setImmediate(() => process.exit());
      return;
  }
}

/** Repeats what it hears; looks around when a connection falls silent, as the links above do. */
function answer(network: Network, connection: Connection): void {
  let heardAt = performance.now();
  const timer = setInterval(() => {
    if (performance.now() - heardAt < SILENCE_MS) return;
    connection.stream.destroy();
    void network.refresh();
  }, BEAT_MS);
  connection.stream.on('data', (chunk) => {
    heardAt = performance.now();
    connection.stream.write(chunk);
  });
  connection.stream.once('close', () => clearInterval(timer));
}

/** Dials until a hello comes back. */
async function greet(network: Network, command: Command): Promise<unknown> {
  const began = performance.now();
  const { connection, dials } = await connect(network, command);
  const ms = performance.now() - began;
  const paths = [connection.path()];
  connection.stream.on('data', () => {
    const path = connection.path();
    if (JSON.stringify(path) !== JSON.stringify(paths.at(-1))) {
      paths.push(path);
      say({ event: 'path', path, ms: performance.now() - began });
    }
  });
  const beat = setInterval(() => connection.stream.write('beat'), BEAT_MS);
  connection.stream.once('close', () => clearInterval(beat));
  return { ms, dials, path: paths[0] };
}

async function connect(network: Network, { key = '', dial = {} }: Command) {
  for (let dials = 1; ; dials++) {
    const connection = await network.dial(key, dial);
    connection.stream.write('hello');
    if (await hears(connection, HELLO_MS)) return { connection, dials };
    say({ event: 'half-open', path: connection.path() });
    connection.stream.destroy();
  }
}

/** Keeps a connection up for ever, and says when one comes up or is lost. */
async function keep(network: Network, command: Command): Promise<void> {
  for (;;) {
    try {
      const { connection } = await connect(network, command);
      say({ event: 'up', path: connection.path() });
      do connection.stream.write('beat');
      while (await hears(connection, SILENCE_MS, BEAT_MS));
      connection.stream.destroy();
      say({ event: 'down' });
      void network.refresh();
    } catch (error) {
      say({ event: 'failed', error: (error as Error).message });
    }
    await pause(DIAL_AGAIN_MS);
  }
}

async function hears(connection: Connection, limitMs: number, restMs = 0): Promise<boolean> {
  const heard = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), limitMs);
    const done = (word: boolean) => () => {
      clearTimeout(timer);
      resolve(word);
    };
    connection.stream.once('data', done(true));
    connection.stream.once('close', done(false));
  });
  if (heard) await pause(restMs);
  return heard;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
