import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { MeshError } from '../structs/errors.js';
import type { Log } from '../util/log.js';

/** Discard; what is listened to is the card, not the port. */
const WAKE_PORT = 9;
const EVERYBODY = '255.255.255.255';
/** The answer is on its way before the machine sleeps. */
const SLEEP_DELAY_MS = 1_000;

/** The magic packet of Wake-on-LAN: six bytes of ones, then the address sixteen times. Throws E_BAD_REQUEST for no address. */
export function magicPacket(macAddress: string): Buffer {
  const hex = macAddress.replace(/[:-]/g, '');
  if (!/^[0-9a-f]{12}$/i.test(hex)) {
    throw new MeshError(
      'E_BAD_REQUEST',
      `${JSON.stringify(macAddress)} is no hardware address such as 00:11:22:33:44:55`,
    );
  }
  const address = Buffer.from(hex, 'hex');
  return Buffer.concat([Buffer.alloc(6, 0xff), ...Array.from({ length: 16 }, () => address)]);
}

/** Sends the packet to every local network of this machine. */
export async function wake(macAddress: string): Promise<void> {
  const packet = magicPacket(macAddress);
  const socket = createSocket('udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(() => resolve());
    });
    socket.setBroadcast(true);
    const send = (to: string): Promise<boolean> =>
      new Promise((resolve) => socket.send(packet, WAKE_PORT, to, (error) => resolve(error === null)));
    const sent = await Promise.all([EVERYBODY, ...broadcastAddresses()].map(send));
    if (!sent.includes(true)) throw new MeshError('E_INTERNAL', 'no network of this machine takes a broadcast');
  } finally {
    socket.close();
  }
}

/** The last address of each IPv4 network that is not this machine alone. */
function broadcastAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const local = all.filter(({ internal, family }) => !internal && family === 'IPv4');
  return [...new Set(local.map(({ address, netmask }) => lastAddress(address, netmask)))];
}

function lastAddress(address: string, netmask: string): string {
  const mask = netmask.split('.').map(Number);
  return address
    .split('.')
    .map((part, i) => (Number(part) | (~(mask[i] ?? 255) & 255)).toString())
    .join('.');
}

/** Runs the configured command a moment later. Throws E_NOT_SUPPORTED where there is none. */
export function sleepSoon(command: readonly string[], log: Log): void {
  const [program, ...args] = command;
  if (program === undefined) {
    throw new MeshError(
      'E_NOT_SUPPORTED',
      'this node says not how it is put to sleep: write sleep = ["systemctl", "suspend"] in the power block of its client block',
    );
  }
  log.info('going to sleep', { command: command.join(' ') });
  setTimeout(() => {
    const child = spawn(program, args, { stdio: 'ignore' });
    child.once('error', (error) => log.error('could not go to sleep', { why: error.message }));
    child.once('exit', (code) => {
      if (code) log.error('could not go to sleep', { why: `${program} ended with code ${code}` });
    });
  }, SLEEP_DELAY_MS);
}
