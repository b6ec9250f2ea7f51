import t from 'tap';
import { parseNodePool } from '../../lib/jobspec/node-pool.js';

const wrong = (text: string): string => {
  const parsed = parseNodePool(`node_pool "p" {\n${text}\n}`, 'p.hcl');
  return parsed.ok ? '' : parsed.error;
};

t.test('what a node pool does not have is refused, with what it has', async (t) => {
  t.match(wrong('descripton = "x"'), '"descripton" is none of description, meta, scheduler_config');
  t.match(wrong('scheduler {}'), 'node_pool has no block "scheduler"; known are meta, scheduler_config');
  t.match(wrong('scheduler_config = {}'), '"scheduler_config" is a block: write it without =');
  t.equal(wrong('meta = { a = "b" }'), '');
});
