import type { RecoveryView, ServerStats } from '../structs/operator.js';
import { formatTable } from './format.js';

/** A reason is a cell of a table: all the ways that were tried in vain are not what counts there. */
const WHY_MAX = 80;

/** Who is left, the server asked first. */
export function survivors({ Self, Others }: RecoveryView): string {
  const row = (name: string, stats: ServerStats | null, why: string): string[] => [
    name,
    stats ? 'reached' : 'not reached',
    stats ? String(stats.Term) : '-',
    stats ? String(stats.LastIndex) : '-',
    stats ? String(stats.Epoch) : '-',
    shortened(why) || '-',
  ];
  const rows = Others.map(({ Name, Stats, Why }) => row(Name, Stats, Why));
  const own = row(`${Self.Name || Self.ID.slice(0, 8)} (this one)`, Self, '');
  return formatTable([['Name', 'State', 'Term', 'Last Index', 'Epoch', 'Why'], own, ...rows]);
}

function shortened(why: string): string {
  return why.length <= WHY_MAX ? why : `${why.slice(0, WHY_MAX - 1).trimEnd()}…`;
}
