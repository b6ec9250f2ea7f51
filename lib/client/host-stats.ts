import { statfs } from 'node:fs/promises';
import { cpus, uptime } from 'node:os';
import type { HostStats } from '../structs/rpc.js';
import { type Millis, toNanos } from '../util/clock.js';
import { diskMounts, isLocal } from './fingerprint/mounts.js';
import { readText } from './fingerprint/read.js';
import { mountOf, parseMounts } from './fingerprint/storage.js';

/** Times of one processor since boot, in the kernel's ticks. */
interface CpuTimes {
  name: string;
  user: number;
  system: number;
  idle: number;
  total: number;
}

/** Samples the machine; percentages are over the time since the sample before. */
export class HostSampler {
  private before: CpuTimes[] = [];

  /** `totalMhz`: the machine's compute as fingerprinted, for counting ticks. */
  async sample(options: { allocDir: string; totalMhz: number; nowMs: Millis }): Promise<HostStats> {
    const [cpuText, memoryText, mountText] = await Promise.all([
      readText('/proc/stat'),
      readText('/proc/meminfo'),
      readText('/proc/self/mounts'),
    ]);
    const times = parseCpuTimes(cpuText ?? '');
    const CPU = cpuUse(this.before, times, options.totalMhz / Math.max(1, times.length));
    this.before = times;
    const mounts = parseMounts(mountText ?? '');
    const holding = mountOf(mounts, options.allocDir);
    const shown = [holding, mounts.find(({ path }) => path === '/'), ...diskMounts(mountText ?? '', options.allocDir)]
      .filter((mount) => mount !== null && mount !== undefined)
      .filter((mount, i, all) => isLocal(mount) && all.findIndex(({ path }) => path === mount.path) === i);
    // One that was taken off meanwhile is left out.
    const used = await Promise.all(shown.map(({ path, device }) => diskUse(path, device).catch(() => null)));
    const disks = used.filter((disk) => disk !== null);
    return {
      Memory: memoryUse(memoryText ?? ''),
      CPU,
      DiskStats: disks,
      AllocDirStats: await diskUse(options.allocDir, holding?.device ?? ''),
      DeviceStats: [],
      Separation: null,
      Uptime: Math.floor(uptime()),
      CPUTicksConsumed: CPU.reduce((sum, cpu) => sum + cpu.TotalTicks, 0),
      Timestamp: toNanos(options.nowMs),
    };
  }
}

/** The per-processor lines of /proc/stat; without it (another kernel) Node's own figures. */
export function parseCpuTimes(text: string): CpuTimes[] {
  const found = [...text.matchAll(/^(cpu\d+) (.+)$/gm)].map(([, name, rest]) => {
    const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, steal = 0] = (rest ?? '')
      .split(' ')
      .map(Number);
    const busy = user + nice + system + irq + soft + steal;
    return {
      name: name ?? '',
      user: user + nice,
      system: system + irq + soft,
      idle: idle + wait,
      total: busy + idle + wait,
    };
  });
  if (found.length > 0) return found;
  return cpus().map(({ times: { user, nice, sys, idle, irq } }, i) => {
    return { name: `cpu${i}`, user: user + nice, system: sys + irq, idle, total: user + nice + sys + irq + idle };
  });
}

function cpuUse(before: readonly CpuTimes[], now: readonly CpuTimes[], coreMhz: number): HostStats['CPU'] {
  return now.map((cpu, i) => {
    const last = before[i] ?? { user: 0, system: 0, idle: 0, total: 0 };
    const span = Math.max(1, cpu.total - last.total);
    const percent = (part: number): number => Math.max(0, Math.min(100, (100 * part) / span));
    const Idle = percent(cpu.idle - last.idle);
    return {
      CPU: cpu.name,
      User: percent(cpu.user - last.user),
      System: percent(cpu.system - last.system),
      Idle,
      TotalPercent: 100 - Idle,
      TotalTicks: ((100 - Idle) / 100) * coreMhz,
    };
  });
}

function memoryUse(text: string): HostStats['Memory'] {
  const bytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
  const Total = bytes('MemTotal');
  const Available = bytes('MemAvailable');
  return { Total, Available, Used: Total - Available, Free: bytes('MemFree') };
}

/** How full a file system is. */
export async function diskUse(path: string, device: string): Promise<HostStats['DiskStats'][number]> {
  const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(path);
  const Used = (blocks - bfree) * bsize;
  const Available = bavail * bsize;
  return {
    Device: device,
    Mountpoint: path,
    Size: blocks * bsize,
    Used,
    Available,
    // Of what an unprivileged task can have, as df counts.
    UsedPercent: Used + Available > 0 ? (100 * Used) / (Used + Available) : 0,
    InodesUsedPercent: files > 0 ? (100 * (files - ffree)) / files : 0,
  };
}
