import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Cell, Variant } from '../scheduler/bench.js';
import type { Row } from './run.js';

const CELL = fileURLToPath(new URL('../scheduler/bench.js', import.meta.url));
/** Holds all that 10,000 placements make, so that nothing is collected before it is counted. */
const YOUNG_MIB = 512;

/** Placements per second that each cell has to reach: the peer's figure times the ratio wanted, or a plain number. */
const CELLS: readonly { variant: Variant; n: number; c: number; target: number }[] = [
  { variant: 'service', n: 100, c: 100, target: 10 * 5010 },
  { variant: 'service', n: 100, c: 10_000, target: 10 * 250 },
  { variant: 'service', n: 1000, c: 1000, target: 10 * 3300 },
  { variant: 'service', n: 10_000, c: 100, target: 10 * 4200 },
  { variant: 'service', n: 10_000, c: 10_000, target: 10 * 2030 },
  { variant: 'batch', n: 100, c: 100, target: 4 * 24_300 },
  { variant: 'batch', n: 100, c: 10_000, target: 4 * 1620 },
  { variant: 'batch', n: 1000, c: 1000, target: 4 * 14_900 },
  { variant: 'batch', n: 10_000, c: 100, target: 4 * 9310 },
  { variant: 'batch', n: 10_000, c: 10_000, target: 4 * 11_900 },
  { variant: 'constraint', n: 100, c: 100, target: 10 * 3930 },
  { variant: 'constraint', n: 1000, c: 1000, target: 10 * 4730 },
  { variant: 'constraint', n: 10_000, c: 100, target: 10 * 2290 },
  { variant: 'constraint', n: 10_000, c: 10_000, target: 10 * 2730 },
  ...(['affinity', 'spread'] as const).flatMap((variant) =>
    [
      [100, 100],
      [100, 10_000],
      [1000, 1000],
      [10_000, 100],
      [10_000, 10_000],
    ].map(([n = 0, c = 0]) => ({ variant, n, c, target: 20_000 })),
  ),
  { variant: 'system', n: 100, c: 100, target: 5 * 45_700 },
  { variant: 'system', n: 1000, c: 1000, target: 5 * 20_100 },
  { variant: 'system', n: 10_000, c: 10_000, target: 5 * 13_300 },
];

/** The scheduler alone, each cell in a process of its own: N nodes, one group of count C. */
export async function benchScheduler(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { variant, n, c, target } of CELLS) {
    const cell = await measure([], variant, n, c);
    rows.push({
      what: `scheduler: ${variant}, N=${n}, C=${c}`,
      value: `${rate(cell.perSecond)}, ${rate(cell.perCpuSecond)} of CPU`,
      target: `${target.toLocaleString('en')}/s: ${verdict(cell, target)}`,
    });
    if (n < 10_000 || c < 10_000) continue;
    const { garbageBytes } = await measure(['--expose-gc', `--max-semi-space-size=${YOUNG_MIB}`], variant, n, c);
    rows.push({
      what: `scheduler: ${variant}, N=${n}, C=${c}: RSS, later, garbage`,
      value: `${Math.round(cell.firstRssMib)}, ${Math.round(cell.peakRssMib)} MiB, ${(garbageBytes / 1024).toFixed(1)} KiB each`,
      target: `250 MiB, 2 KiB each: ${cell.firstRssMib <= 250 && garbageBytes <= 2048 ? 'met' : 'missed'}`,
    });
  }
  return rows;
}

/** By the processor's time alone where others use the machine as well. */
function verdict({ perSecond, perCpuSecond }: Cell, target: number): string {
  if (perSecond >= target) return 'met';
  return perCpuSecond >= target ? 'met by CPU time' : 'missed';
}

function rate(perSecond: number): string {
  return `${Math.round(perSecond).toLocaleString('en')}/s`;
}

async function measure(flags: readonly string[], ...cell: [Variant, number, number]): Promise<Cell> {
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, CELL, ...cell.map(String)]);
  return JSON.parse(stdout) as Cell;
}
