import type { HostFiles } from '../../lib/plugin/sdk/host-files.js';
import type { Gpu, Report } from './report.js';

// What the kernel knows of NVIDIA cards: enough to give them out where there is no nvidia-smi (minimal images, containers).

const VENDOR = 0x10de;
const PCI = '/sys/bus/pci/devices';
const DRIVER = '/proc/driver/nvidia';

/** PCI addresses of NVIDIA's display and 3D controllers, with or without a driver. */
export async function nvidiaCards(host: HostFiles): Promise<string[]> {
  const cards: string[] = [];
  for (const address of await host.names(PCI)) {
    if ((await host.number(`${PCI}/${address}/vendor`)) !== VENDOR) continue;
    const pciClass = await host.number(`${PCI}/${address}/class`);
    if (pciClass !== null && pciClass >> 16 === 0x03) cards.push(address);
  }
  return cards;
}

/** Whether NVIDIA's kernel driver is loaded. */
export async function hasDriver(host: HostFiles): Promise<boolean> {
  return await host.exists(`${DRIVER}/version`);
}

/** A report from /proc/driver/nvidia; null when the driver is not loaded. `memoryMiB` is what others know of cards by their model. */
export async function kernelReport(host: HostFiles, memoryMiB: ReadonlyMap<string, number>): Promise<Report | null> {
  const version = await host.text(`${DRIVER}/version`);
  if (version === null) return null;
  const gpus: Gpu[] = [];
  for (const address of await host.names(`${DRIVER}/gpus`)) {
    const facts = factsOf((await host.text(`${DRIVER}/gpus/${address}/information`)) ?? '');
    const uuid = facts.get('GPU UUID') ?? '';
    // A card that nobody has opened yet has no UUID but question marks.
    if (!/^GPU-[0-9a-f-]+$/.test(uuid)) continue;
    const model = facts.get('Model') ?? 'N/A';
    gpus.push({
      ...UNKNOWN,
      index: gpus.length,
      uuid,
      model,
      pciBusId: address,
      minor: numberOf(facts.get('Device Minor')),
      memoryMiB: memoryMiB.get(model) ?? null,
      linkGen: generationOf(await host.text(`${PCI}/${address}/max_link_speed`)),
      linkWidth: await host.number(`${PCI}/${address}/max_link_width`),
    });
  }
  return { driverVersion: /Kernel Module\D*(\d+\.[\d.]+)/.exec(version)?.[1] ?? 'N/A', cudaVersion: null, gpus };
}

const UNKNOWN = {
  architecture: null,
  displayState: 'N/A',
  persistenceMode: 'N/A',
  memoryUsedMiB: null,
  bar1MiB: null,
  bar1UsedMiB: null,
  powerLimitW: null,
  powerW: null,
  coresClockMhz: null,
  memoryClockMhz: null,
  temperatureC: null,
  utilization: { gpu: null, memory: null, encoder: null, decoder: null },
  eccErrors: { l1: null, l2: null, memory: null },
  computeMode: null,
  isPartitioned: false,
  parts: [],
  trouble: null,
} satisfies Partial<Gpu>;

/** `Model: \t\t NVIDIA GeForce …` lines. */
function factsOf(text: string): Map<string, string> {
  const pairs = [...text.matchAll(/^([^:\n]+):[ \t]*(.+)$/gm)];
  return new Map(pairs.map(([, key, value]) => [(key as string).trim(), (value as string).trim()]));
}

function numberOf(text: string | undefined): number | null {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : null;
}

/** "16.0 GT/s PCIe" → 4. */
function generationOf(text: string | null): number | null {
  const speeds = ['2.5', '5.0', '8.0', '16.0', '32.0', '64.0'];
  const at = speeds.findIndex((speed) => text?.startsWith(`${speed} `));
  return at < 0 ? null : at + 1;
}
