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

t.test('a misspelt key of JSON is refused, and one that another version may know is not', async (t) => {
  const parse = (pool: object) => parseNodePool(JSON.stringify({ Name: 'p', ...pool }), 'p.json');
  t.match(parse({ Descripton: 'x' }), {
    ok: false,
    error: 'p.json: a node pool has no "Descripton"; did you mean "Description"?',
  });
  t.match(parse({ description: 'x', NodeIdentityTTL: 0 }), { ok: true });
});
