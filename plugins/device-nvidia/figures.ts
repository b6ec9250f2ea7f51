import type { DeviceInstanceStats, DeviceStat } from '../../lib/plugin/sdk/device.js';
import type { NvidiaInstance } from './instances.js';

/** What an instance does now, under the names of Nomad's NVIDIA plugin; what the driver does not know is "N/A". */
export function figuresOf({ gpu, part }: NvidiaInstance, timestamp: string): DeviceInstanceStats {
  const used = part ? part.memoryUsedMiB : gpu.memoryUsedMiB;
  const total = part ? part.memoryMiB : gpu.memoryMiB;
  const summary = figure(used, 'MiB', 'memory in use, of all there is', total);
  const stats: Record<string, DeviceStat> = {
    'Memory state': summary,
    'Power usage': figure(gpu.powerW, 'W', 'power drawn by the board, of what it may draw', gpu.powerLimitW),
    'GPU utilization': figure(gpu.utilization.gpu, '%', 'part of the time in which a kernel ran'),
    'Memory utilization': figure(gpu.utilization.memory, '%', 'part of the time in which memory was read or written'),
    'Encoder utilization': figure(gpu.utilization.encoder, '%', 'part of the time in which the encoder worked'),
    'Decoder utilization': figure(gpu.utilization.decoder, '%', 'part of the time in which the decoder worked'),
    Temperature: figure(gpu.temperatureC, 'C', 'temperature of the GPU'),
    'BAR1 buffer state': figure(gpu.bar1UsedMiB, 'MiB', 'memory mapped over PCI, of what can be', gpu.bar1MiB),
    'ECC L1 errors': figure(gpu.eccErrors.l1, '#', 'errors in the L1 cache that could not be corrected'),
    'ECC L2 errors': figure(gpu.eccErrors.l2, '#', 'errors in the L2 cache that could not be corrected'),
    'ECC memory errors': figure(gpu.eccErrors.memory, '#', 'errors in memory that could not be corrected'),
  };
  return { summary, stats, timestamp };
}

function figure(value: number | null, unit: string, description: string, of?: number | null): DeviceStat {
  if (value === null || of === null) return { value: { text: 'N/A' }, unit, description };
  const int = Math.floor(value);
  return { value: of === undefined ? { int } : { int, of: Math.floor(of) }, unit, description };
}
