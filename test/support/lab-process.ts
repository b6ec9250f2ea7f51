import { createInterface } from 'node:readline';
import { openDhtNetwork } from '../../lib/transport/dht/index.js';
import type { ConnectAs, Network } from '../../lib/transport/network.js';
import type { Address } from '../../lib/transport/tcp.js';
import { createLog, formatLogLine, type Log } from '../../lib/util/log.js';
import { newIdentity } from './testnet.js';

// The far end of a LabChild: a process somewhere in a lab, started with what it is to be as JSON in its only argument.

const PORT = 49_737;

/** What every network in a lab is opened with. */
export interface LabStart {
  bootstrap: Address[];
  /** To bind. */
  host?: string;
  /** Looks for others on its network. */
  mdns?: boolean;
}

export const readStart = <S>(): S => JSON.parse(process.argv[2] ?? '{}') as S;

export const say = (message: object): void => void process.stdout.write(`${JSON.stringify(message)}\n`);

/** A network over the DHT with a key of its own, which logs to standard error. */
export async function openLabNetwork(start: LabStart): Promise<{ network: Network; identity: ConnectAs; log: Log }> {
  const { bootstrap, host, mdns = false } = start;
  const log = createLog((record) => process.stderr.write(`${formatLogLine(record, new Date().toISOString())}\n`));
  const identity = await newIdentity();
  const network = await openDhtNetwork({
    identity,
    bootstrap,
    port: PORT,
    folder: null,
    mdns,
    advertise: [],
    log: log.child('network'),
    ...(host === undefined ? {} : { host }),
  });
  return { network, identity, log };
}

/** Answers commands until whoever started this process is gone. */
export async function serveLab<C>(act: (command: C) => Promise<unknown>): Promise<void> {
  process.stdin.once('close', () => process.exit());
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line) as C & { id: number };
    act(command).then(
      (value) => say({ id: command.id, value: value ?? null }),
      (error: Error) => say({ id: command.id, error: error.message }),
    );
  }
}
