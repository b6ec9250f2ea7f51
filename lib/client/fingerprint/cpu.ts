import { availableParallelism, cpus } from 'node:os';
import type { Facts, Fingerprint } from './fact.js';
import { readNumber } from './read.js';

/** Assumed where nothing tells the frequency (some virtual machines, small ARM boards): Nomad users can override it. */
const FALLBACK_MHZ = 1000;

/** Cores and their frequency; total compute is MHz times cores. */
export const cpuFingerprint: Fingerprint = {
  name: 'cpu',
  periodMs: null,
  async run({ config }): Promise<Facts> {
    const found = cpus();
    const cores = Math.max(1, found.length, availableParallelism());
    const mhz = await coreMhz(found.map((cpu) => cpu.speed));
    const total = config.cpuTotalMhz ?? Math.floor(mhz * cores);
    const model = found[0]?.model ?? '';
    return {
      cpu: { totalMhz: total, cores },
      attributes: {
        'cpu.numcores': String(cores),
        'cpu.reservablecores': String(cores),
        'cpu.frequency': String(Math.floor(mhz)),
        'cpu.totalcompute': String(total),
        'cpu.usablecompute': String(Math.max(0, total - config.reserved.cpuMhz)),
        ...(model === '' || model === 'unknown' ? {} : { 'cpu.modelname': model }),
      },
    };
  },
};

/** The frequency that lasts: the base one where the kernel knows it, else the maximum, else the present one. */
async function coreMhz(present: readonly number[]): Promise<number> {
  const folder = '/sys/devices/system/cpu/cpu0/cpufreq';
  const khz = (await readNumber(`${folder}/base_frequency`)) ?? (await readNumber(`${folder}/cpuinfo_max_freq`));
  if (khz !== null && khz > 0) return khz / 1000;
  const fastest = Math.max(0, ...present);
  return fastest > 0 ? fastest : FALLBACK_MHZ;
}
