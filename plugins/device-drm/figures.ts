import type { DeviceInstanceStats, DeviceStat } from '../../lib/plugin/sdk/device.js';
import type { HostFiles } from '../../lib/plugin/sdk/host-files.js';
import { type Card, hwmonNumber } from './cards.js';

/** What a card does now; null when the kernel tells nothing of it. */
export async function figuresOf(card: Card, host: HostFiles, timestamp: string): Promise<DeviceInstanceStats | null> {
  const { folder } = card;
  const stats: Record<string, DeviceStat> = {};
  const used = await host.number(`${folder}/mem_info_vram_used`);
  const total = await host.number(`${folder}/mem_info_vram_total`);
  if (used !== null && total !== null) {
    stats['Memory state'] = {
      value: { int: mib(used), of: mib(total) },
      unit: 'MiB',
      description: 'memory of the card in use, of all it has',
    };
  }
  const shared = await host.number(`${folder}/npu_memory_utilization`);
  if (shared !== null) stats['Memory in use'] = whole(mib(shared), 'MiB', 'memory of the machine that it uses');
  const busy = await host.number(`${folder}/gpu_busy_percent`);
  if (busy !== null) stats['GPU utilization'] = whole(busy, '%', 'part of the time in which it worked');
  const heat = (await hwmonNumber(host, folder, 'temp1_input')) ?? (await host.number(`${folder}/temp`));
  if (heat !== null) stats['Temperature'] = whole(Math.round(heat / 1000), 'C', 'temperature of the card');
  const power =
    (await hwmonNumber(host, folder, 'power1_average')) ?? (await hwmonNumber(host, folder, 'power1_input'));
  if (power !== null) stats['Power usage'] = whole(Math.round(power / 1e6), 'W', 'power drawn by the card');
  const clock = await clockOf(card, host);
  if (clock !== null) stats['Clock'] = whole(clock, 'MHz', 'clock of its cores');
  const summary = stats['Memory state'] ?? Object.values(stats)[0];
  return summary ? { summary, stats, timestamp } : null;
}

async function clockOf({ folder }: Card, host: HostFiles): Promise<number | null> {
  const current = /(\d+)\s*mhz \*/i.exec((await host.text(`${folder}/pp_dpm_sclk`)) ?? '')?.[1];
  if (current !== undefined) return Number(current);
  const card = (await host.names(`${folder}/drm`)).find((name) => /^card\d+$/.test(name));
  const old = card === undefined ? null : await host.number(`${folder}/drm/${card}/gt_act_freq_mhz`);
  return old ?? (await host.number(`${folder}/tile0/gt0/freq0/act_freq`));
}

function whole(int: number, unit: string, description: string): DeviceStat {
  return { value: { int }, unit, description };
}

function mib(bytes: number): number {
  return Math.floor(bytes / 1024 / 1024);
}
