import { Applier, PacedApplier } from '../../../lib/server/consensus-apply.js';
import { PendingWrites } from '../../../lib/server/consensus-pending.js';
import { packCommand } from '../../../lib/server/packed-command.js';
import { encodeCommand } from '../../../lib/state/command-codec.js';
import { createStateMachine } from '../../../lib/state/fsm.js';
import type { Store } from '../../../lib/state/store.js';
import { silentLog } from '../../../lib/util/log.js';
import { createFakeConsensus, type FakeConsensus } from '../../server/world.js';

const TERM = 1;

/**
 * Consensus of one, in memory, that costs the thread what the real one does: a command is written and packed where it is proposed, and
 * read and applied in a later turn, with what was proposed meanwhile, as much in one turn as there.
 */
export function createPacedConsensus(store: Store, soon: (fn: () => void) => void): FakeConsensus {
  const fake = createFakeConsensus(store, { keepLog: false });
  const writes = new PendingWrites();
  const applier = new PacedApplier(new Applier({ fsm: createStateMachine(store), writes, log: silentLog }), soon);
  let proposed: Uint8Array[] = [];
  let last = 0;
  let isUnderWay = false;

  const commit = async (): Promise<void> => {
    while (proposed.length > 0) {
      await new Promise<void>((resolve) => soon(resolve));
      const entries = proposed.map((data, i) => ({
        ...{ term: TERM, type: 'command' as const, data },
        index: store.index - store.indexOffset + 1 + i,
      }));
      proposed = [];
      await applier.apply(entries, () => {});
    }
    isUnderWay = false;
  };

  return Object.assign(fake, {
    async propose(command: Parameters<FakeConsensus['propose']>[0]) {
      await fake.readIndex();
      proposed.push(packCommand(encodeCommand(command)));
      last = Math.max(last, store.index - store.indexOffset) + 1;
      const outcome = writes.wait(last, TERM);
      if (!isUnderWay) {
        isUnderWay = true;
        void commit();
      }
      return outcome;
    },
  });
}
