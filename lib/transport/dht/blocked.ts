import { createSocket } from 'node:dgram';
import { connect, isIPv4 } from 'node:net';
import type { Address } from '../tcp.js';

const WAIT_MS = 2_000;

/**
 * Whether something on the way drops UDP: a machine that answers TCP (if only by refusing), and UDP by nothing at all. A host
 * that says "nobody listens there" is reached by UDP, and one that says nothing to either may as well be off.
 */
export async function isUdpBlocked(machines: readonly Address[]): Promise<boolean> {
  const asked = machines.filter(({ host }) => isIPv4(host)).slice(0, 3);
  const found = await Promise.all(
    asked.map(async (machine) => {
      const [tcp, udp] = await Promise.all([answersTcp(machine), refusesUdp(machine)]);
      return tcp && !udp;
    }),
  );
  return found.includes(true);
}

function answersTcp({ host, port }: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: WAIT_MS });
    const done = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => done(true));
    socket.once('timeout', () => done(false));
    socket.once('error', (error: NodeJS.ErrnoException) => done(error.code === 'ECONNREFUSED'));
  });
}

/** The kernel tells a connected socket what ICMP said. */
function refusesUdp({ host, port }: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const done = (refused: boolean): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => {});
      socket.close();
      resolve(refused);
    };
    const timer = setTimeout(() => done(false), WAIT_MS);
    socket.on('error', (error: NodeJS.ErrnoException) => done(error.code === 'ECONNREFUSED'));
    // Not as a callback: that is called where there is no way at all, too, in place of 'error'.
    socket.once('connect', () => socket.send(Buffer.alloc(1)));
    socket.connect(port, host);
  });
}
