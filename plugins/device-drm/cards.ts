import type { HostFiles } from '../../lib/plugin/sdk/host-files.js';
import type { NodeDeviceResource } from '../../lib/structs/node.js';
import { pciNames } from './pci-names.js';

// GPUs and NPUs as the kernel shows them: /sys/class/drm, /sys/class/accel, /sys/class/apex.

type Attributes = NonNullable<NodeDeviceResource['Attributes']>;

/** One card that can be given out. */
export interface Card {
  readonly id: string;
  readonly vendor: string;
  readonly type: 'gpu' | 'npu' | 'tpu';
  readonly model: string;
  /** Null for what is no PCI device (the GPU of a small board). */
  readonly pciBusId: string | null;
  readonly driver: string;
  /** Device nodes that a task opens; the first is the one without which nothing works. */
  readonly nodes: readonly string[];
  /** Its folder in /sys, where its figures are. */
  readonly folder: string;
  readonly attributes: Attributes;
  /** As AMD's compute library calls it ("GPU-…"); null for what it does not know. */
  readonly rocmId: string | null;
}

/** Makers by PCI vendor, in the words of job files. */
const VENDORS: Record<string, string> = {
  '1002': 'amd',
  '1022': 'amd',
  '8086': 'intel',
  '10de': 'nvidia',
  '1af4': 'virtio',
  '1da3': 'habana',
  '1e36': 'enflame',
  '17cb': 'qualcomm',
  '1ac1': 'google',
};

/** Makers of what is no PCI device, by the kernel's driver. */
const DRIVER_VENDORS: Record<string, string> = {
  v3d: 'broadcom',
  panfrost: 'arm',
  panthor: 'arm',
  lima: 'arm',
  msm: 'qualcomm',
  etnaviv: 'vivante',
  powervr: 'imagination',
  rocket: 'rockchip',
  rknpu: 'rockchip',
};

/** NVIDIA's cards are the nvidia plugin's, whatever driver they have: without NVIDIA's they run no CUDA. */
const LEFT_TO_OTHERS = new Set(['nvidia', 'nvidia-drm', 'nouveau', 'nova']);

/** Whether there is anything to look at: two folders are asked for. */
export async function hasCards(host: HostFiles): Promise<boolean> {
  for (const folder of ['/sys/class/drm', '/sys/class/accel', '/sys/class/apex']) {
    if ((await host.names(folder)).some((name) => /^(renderD|accel|apex_)\d+$/.test(name))) return true;
  }
  return false;
}

/** All cards of the machine that run programs; a controller that only shows a picture is none. */
export async function findCards(host: HostFiles): Promise<Card[]> {
  const found = [...(await gpus(host)), ...(await accelerators(host)), ...(await apexes(host))];
  const ids = [...new Set(found.flatMap(({ pciId }) => pciId ?? []))];
  const names = await pciNames(host, ids);
  return found.map(({ pciId, ...card }) => ({
    ...card,
    model: card.model || ((pciId && names.get(pciId)) ?? `${card.vendor} ${card.type} ${pciId ?? card.driver}`),
    attributes: { ...card.attributes, ...(pciId ? { pci_id: { String: pciId } } : {}) },
  }));
}

type Unnamed = Card & { pciId: string | null };

async function gpus(host: HostFiles): Promise<Unnamed[]> {
  const cards: Unnamed[] = [];
  const compute = await computeNodes(host);
  for (const render of await host.names('/sys/class/drm')) {
    if (!/^renderD\d+$/.test(render)) continue;
    const folder = `/sys/class/drm/${render}/device`;
    const driver = (await host.linkName(`${folder}/driver`)) ?? '';
    const { vendor, pciId } = await makerOf(host, folder, driver);
    if (vendor === 'nvidia' || LEFT_TO_OTHERS.has(driver)) continue;
    const card = (await host.names(`${folder}/drm`)).find((name) => /^card\d+$/.test(name));
    const gfx = compute.get(Number(render.slice('renderD'.length)));
    const nodes = [`/dev/dri/${render}`, ...(card ? [`/dev/dri/${card}`] : []), ...(gfx ? ['/dev/kfd'] : [])];
    cards.push({
      id: await identityOf(host, folder, render),
      vendor,
      type: 'gpu',
      model: (await host.text(`${folder}/product_name`)) ?? '',
      pciId,
      pciBusId: await busIdOf(host, folder),
      driver,
      nodes,
      folder,
      attributes: { driver: { String: driver }, ...(await gpuAttributes(host, folder, card)), ...gfx?.attributes },
      rocmId: gfx?.rocmId ?? null,
    });
  }
  return cards;
}

async function gpuAttributes(host: HostFiles, folder: string, card: string | undefined): Promise<Attributes> {
  const memory =
    (await host.number(`${folder}/mem_info_vram_total`)) ??
    (await host.number(`${folder}/tile0/physical_vram_size_bytes`));
  const clock =
    (card ? await host.number(`/sys/class/drm/${card}/gt_max_freq_mhz`) : null) ??
    (await host.number(`${folder}/tile0/gt0/freq0/max_freq`)) ??
    highestClock(await host.text(`${folder}/pp_dpm_sclk`));
  const power = await hwmonNumber(host, folder, 'power1_cap');
  const attributes: Attributes = {};
  if (memory !== null) attributes['memory'] = { Int: Math.floor(memory / 1024 / 1024), Unit: 'MiB' };
  if (clock !== null) attributes['cores_clock'] = { Int: clock, Unit: 'MHz' };
  if (power !== null) attributes['power'] = { Int: Math.floor(power / 1e6), Unit: 'W' };
  return attributes;
}

interface Compute {
  attributes: Attributes;
  rocmId: string | null;
}

/** What AMD's compute driver says of each GPU, by the number of its render node: "gfx1030" and how many compute units. */
async function computeNodes(host: HostFiles): Promise<Map<number, Compute>> {
  const root = '/sys/class/kfd/kfd/topology/nodes';
  const nodes = new Map<number, Compute>();
  for (const name of await host.names(root)) {
    const text = (await host.text(`${root}/${name}/properties`)) ?? '';
    const value = (key: string): number => Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
    const minor = value('drm_render_minor');
    const version = value('gfx_target_version');
    if (minor === 0 || version === 0) continue;
    const hex = (part: number): string => part.toString(16);
    const gfx = `gfx${Math.floor(version / 10_000)}${hex(Math.floor(version / 100) % 100)}${hex(version % 100)}`;
    const perUnit = value('simd_per_cu') || 2;
    const unique = /^unique_id (\d+)$/m.exec(text)?.[1] ?? '0';
    nodes.set(minor, {
      attributes: { gfx: { String: gfx }, compute_units: { Int: Math.floor(value('simd_count') / perUnit) } },
      rocmId: unique === '0' ? null : `GPU-${BigInt(unique).toString(16).padStart(16, '0')}`,
    });
  }
  return nodes;
}

async function accelerators(host: HostFiles): Promise<Unnamed[]> {
  const cards: Unnamed[] = [];
  for (const name of await host.names('/sys/class/accel')) {
    if (!/^accel\d+$/.test(name)) continue;
    const folder = `/sys/class/accel/${name}/device`;
    const driver = (await host.linkName(`${folder}/driver`)) ?? '';
    const { vendor, pciId } = await makerOf(host, folder, driver);
    cards.push({
      id: await identityOf(host, folder, name),
      vendor,
      type: 'npu',
      model: (await host.text(`${folder}/vbnv`)) ?? '',
      pciId,
      pciBusId: await busIdOf(host, folder),
      driver,
      nodes: [`/dev/accel/${name}`],
      folder,
      attributes: { driver: { String: driver } },
      rocmId: null,
    });
  }
  return cards;
}

/** Coral's Edge TPU on PCIe or M.2. */
async function apexes(host: HostFiles): Promise<Unnamed[]> {
  const cards: Unnamed[] = [];
  for (const name of await host.names('/sys/class/apex')) {
    const folder = `/sys/class/apex/${name}`;
    cards.push({
      id: await identityOf(host, `${folder}/device`, name),
      vendor: 'google',
      type: 'tpu',
      model: 'Coral Edge TPU',
      pciId: null,
      pciBusId: await busIdOf(host, `${folder}/device`),
      driver: 'apex',
      nodes: [`/dev/${name}`],
      folder,
      attributes: { driver: { String: 'apex' } },
      rocmId: null,
    });
  }
  return cards;
}

async function makerOf(
  host: HostFiles,
  folder: string,
  driver: string,
): Promise<{ vendor: string; pciId: string | null }> {
  const vendor = await hexId(host, `${folder}/vendor`);
  const device = await hexId(host, `${folder}/device`);
  if (vendor === null || device === null)
    return { vendor: DRIVER_VENDORS[driver] ?? (driver || 'unknown'), pciId: null };
  return { vendor: VENDORS[vendor] ?? vendor, pciId: `${vendor}:${device}` };
}

async function hexId(host: HostFiles, path: string): Promise<string | null> {
  return /^0x([0-9a-f]{4})$/i.exec((await host.text(path)) ?? '')?.[1]?.toLowerCase() ?? null;
}

/** The PCI address, which stays when cards are found in another order; of what is none, its name in the device tree. */
async function identityOf(host: HostFiles, folder: string, fallback: string): Promise<string> {
  return (await host.real(folder))?.split('/').at(-1) ?? fallback;
}

async function busIdOf(host: HostFiles, folder: string): Promise<string | null> {
  const name = (await host.real(folder))?.split('/').at(-1) ?? '';
  return /^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(name) ? name : null;
}

/** The largest of "0: 500Mhz\n1: 2575Mhz *". */
function highestClock(text: string | null): number | null {
  const clocks = [...(text ?? '').matchAll(/:\s*(\d+)\s*mhz/gi)].map(([, mhz]) => Number(mhz));
  return clocks.length > 0 ? Math.max(...clocks) : null;
}

/** A number of the first sensor chip of a device. */
export async function hwmonNumber(host: HostFiles, folder: string, name: string): Promise<number | null> {
  const [chip] = await host.names(`${folder}/hwmon`);
  return chip === undefined ? null : await host.number(`${folder}/hwmon/${chip}/${name}`);
}
