// One end of a feed, in a process of its own that the test may kill: node feed-child.js voter|standby FOLDER SOCKET FROM
import { rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { FeedAddress } from '../../lib/structs/rpc-feed.js';
import { Standby, Voter } from '../storage/feed-fakes.js';
import { entryOf } from './feed-entries.js';

const [mode, folder = '', socket = '', from = '0'] = process.argv.slice(2);
process.on('disconnect', () => process.exit());
// A peer that was killed is no reason to die.
process.on('uncaughtException', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') throw error;
});

function say(message: object): void {
  process.send?.(message);
}

async function voter(): Promise<void> {
  const server = await new Voter(folder).open({ segmentBytes: 200_000 });
  // What a raft log would bring back, and then on.
  for (let index = 1; index <= Number(from); index++) server.apply(entryOf(index));
  // The one before this may have been killed.
  rmSync(socket, { force: true });
  createServer((stream) => server.cores.replicate(stream, 'answers')).listen(socket);
  setInterval(() => {
    for (let i = 0; i < 10; i++) server.apply(entryOf(server.chain.index + 1));
    const anew = server.logged.records.filter(({ message }) => message.includes('anew')).length;
    say({ index: server.chain.index, digest: server.chain.digestText, address: server.publisher.address, anew });
  }, 5);
}

async function standby(): Promise<void> {
  const server = await Standby.open(folder);
  const reach = (): void => {
    const stream = connect(socket);
    stream.once('connect', () => server.cores.replicate(stream, 'asks'));
    stream.once('error', () => {});
    stream.once('close', () => setTimeout(reach, 50));
  };
  reach();
  process.on('message', (address: FeedAddress) => server.follower.follow(address));
  setInterval(() => {
    const differs = server.logged.records.filter(({ message }) => message.includes('differs')).length;
    say({ index: server.chain.index, digest: server.chain.digestText, differs });
  }, 20);
}

await (mode === 'voter' ? voter() : standby());
