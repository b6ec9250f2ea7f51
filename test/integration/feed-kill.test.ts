import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { EntryChain } from '../../lib/storage/index.js';
import type { FeedAddress } from '../../lib/structs/rpc-feed.js';
import type { Cleanup } from '../storage/feed-fakes.js';
import { tempFolder, until } from '../storage/feed-fakes.js';
import { entryOf } from './feed-entries.js';

interface Said {
  index: number;
  digest: string;
  address?: FeedAddress | null;
  anew?: number;
  differs?: number;
}

const LIMIT_MS = 60_000;

/** A process that is killed and started again. */
class Child {
  readonly #args: string[];
  #process: ChildProcess | null = null;
  said: Said = { index: 0, digest: '' };

  constructor(t: Cleanup, ...args: string[]) {
    this.#args = args;
    t.teardown(() => this.#process?.kill('SIGKILL'));
  }

  start(from = 0): void {
    this.said = { index: from, digest: '' };
    this.#process = fork(new URL('./feed-child.js', import.meta.url), [...this.#args, String(from)], {
      stdio: 'ignore',
    });
    this.#process.on('message', (said: Said) => {
      this.said = said;
    });
  }

  tell(address: FeedAddress): void {
    this.#process?.send(address);
  }

  async kill(): Promise<void> {
    const dying = this.#process as ChildProcess;
    const died = new Promise((resolve) => dying.once('exit', resolve));
    dying.kill('SIGKILL');
    await died;
  }
}

function digestAt(index: number): string {
  const chain = new EntryChain();
  for (let i = 1; i <= index; i++) chain.applied(entryOf(i));
  return chain.digestText;
}

t.test('either end is killed in the midst of it, and nothing is lost or wrong', { timeout: 240_000 }, async (t) => {
  const socket = join(tempFolder(t), 'feed.sock');
  const voter = new Child(t, 'voter', tempFolder(t), socket);
  const standby = new Child(t, 'standby', tempFolder(t), socket);
  voter.start();
  standby.start();

  const follow = async (what: string): Promise<void> => {
    const goal = voter.said.index + 500;
    const isThere = (): boolean => {
      // As a server does that asks now and then where the feed is.
      if (voter.said.address) standby.tell(voter.said.address);
      return standby.said.index > goal;
    };
    await until(what, isThere, LIMIT_MS);
    const { index, digest, differs } = standby.said;
    t.equal(digest, digestAt(index), what);
    t.equal(differs, 0, `${what}: history is one`);
    t.equal(voter.said.anew, 0, `${what}: the feed goes on`);
  };
  await follow('it follows');
  for (let round = 0; round < 3; round++) {
    const { index } = voter.said;
    await voter.kill();
    // What was applied and not told any more would come back from the raft log as well.
    voter.start(index);
    await follow(`the voter was killed, round ${round}`);
    await standby.kill();
    standby.start();
    await follow(`the standby was killed, round ${round}`);
  }
});
