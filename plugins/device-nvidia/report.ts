import { err, ok, type Result } from '../../lib/util/result.js';
import { find, parseXml, type XmlElement } from './xml.js';

// What `nvidia-smi -q -x` says, by the schemas v10 (2018) to v13 (2025). Drivers write "N/A", "[Not Supported]" or a
// sentence where a card or a version does not know something: then the value is null.

/** A whole GPU as the driver reports it. */
export interface Gpu {
  /** Its place in the report, from 0: what CDI names it by when it does not use the UUID. */
  readonly index: number;
  readonly uuid: string;
  readonly model: string;
  readonly architecture: string | null;
  /** As /sys/bus/pci writes it: "0000:01:00.0". */
  readonly pciBusId: string | null;
  /** N of /dev/nvidiaN. */
  readonly minor: number | null;
  readonly displayState: string;
  readonly persistenceMode: string;
  readonly memoryMiB: number | null;
  readonly memoryUsedMiB: number | null;
  readonly bar1MiB: number | null;
  readonly bar1UsedMiB: number | null;
  readonly powerLimitW: number | null;
  readonly powerW: number | null;
  readonly coresClockMhz: number | null;
  readonly memoryClockMhz: number | null;
  readonly linkGen: number | null;
  readonly linkWidth: number | null;
  readonly temperatureC: number | null;
  readonly utilization: { gpu: number | null; memory: number | null; encoder: number | null; decoder: number | null };
  readonly eccErrors: { l1: number | null; l2: number | null; memory: number | null };
  readonly computeMode: string | null;
  /** Partitioned: its parts are to be used in its place. */
  readonly isPartitioned: boolean;
  readonly parts: readonly MigPart[];
  /** Why it cannot be used now; null when it can. */
  readonly trouble: string | null;
}

/** A part of a GPU (Multi-Instance GPU). */
export interface MigPart {
  readonly index: number;
  readonly gpuInstance: number;
  readonly computeInstance: number;
  /** Null where the driver does not say it here: `nvidia-smi -L` does. */
  readonly uuid: string | null;
  readonly memoryMiB: number | null;
  readonly memoryUsedMiB: number | null;
  readonly multiprocessors: number | null;
}

export interface Report {
  readonly driverVersion: string;
  /** The newest CUDA that the driver can run; null where it does not say. */
  readonly cudaVersion: string | null;
  readonly gpus: readonly Gpu[];
}

/** Nine tenths of a report, and nothing that is asked for here. */
const LONG = ['supported_clocks', 'processes', 'accounted_processes'];

/** Reads the report. The error is for people. */
export function parseReport(source: string): Result<Report, string> {
  const parsed = parseXml(source, LONG);
  if (!parsed.ok) return err(`cannot read what nvidia-smi -q -x wrote: ${parsed.error}`);
  const log = parsed.value;
  if (log.name !== 'nvidia_smi_log') return err(`nvidia-smi -q -x wrote <${log.name}>, not <nvidia_smi_log>`);
  const gpus = log.children.filter(({ name }) => name === 'gpu').map(readGpu);
  const nameless = gpus.find(({ uuid }) => uuid === '');
  if (nameless) return err(`nvidia-smi reports a GPU without a UUID (${nameless.pciBusId ?? nameless.model})`);
  return ok({
    driverVersion: said(log, 'driver_version') ?? 'N/A',
    cudaVersion: said(log, 'cuda_version'),
    gpus,
  });
}

function readGpu(gpu: XmlElement, index: number): Gpu {
  const busId = said(gpu, 'pci/pci_bus_id') ?? gpu.attributes['id'] ?? null;
  return {
    index,
    uuid: said(gpu, 'uuid') ?? '',
    model: said(gpu, 'product_name') ?? 'N/A',
    architecture: said(gpu, 'product_architecture'),
    pciBusId: busId === null ? null : kernelBusId(busId),
    minor: amount(gpu, 'minor_number'),
    displayState: displayState(gpu),
    persistenceMode: said(gpu, 'persistence_mode') ?? 'N/A',
    memoryMiB: amount(gpu, 'fb_memory_usage/total'),
    memoryUsedMiB: amount(gpu, 'fb_memory_usage/used'),
    bar1MiB: amount(gpu, 'bar1_memory_usage/total'),
    bar1UsedMiB: amount(gpu, 'bar1_memory_usage/used'),
    ...power(gpu),
    coresClockMhz: positive(amount(gpu, 'max_clocks/graphics_clock')),
    memoryClockMhz: positive(amount(gpu, 'max_clocks/mem_clock')),
    linkGen: amount(gpu, 'pci/pci_gpu_link_info/pcie_gen/max_link_gen'),
    linkWidth: amount(gpu, 'pci/pci_gpu_link_info/link_widths/max_link_width'),
    temperatureC: amount(gpu, 'temperature/gpu_temp'),
    utilization: {
      gpu: amount(gpu, 'utilization/gpu_util'),
      memory: amount(gpu, 'utilization/memory_util'),
      encoder: amount(gpu, 'utilization/encoder_util'),
      decoder: amount(gpu, 'utilization/decoder_util'),
    },
    eccErrors: eccErrors(gpu),
    computeMode: said(gpu, 'compute_mode'),
    isPartitioned: said(gpu, 'mig_mode/current_mig') === 'Enabled',
    parts: (find(gpu, 'mig_devices')?.children ?? []).filter(({ name }) => name === 'mig_device').map(readPart),
    trouble: trouble(gpu),
  };
}

function readPart(part: XmlElement): MigPart {
  return {
    index: amount(part, 'index') ?? 0,
    gpuInstance: amount(part, 'gpu_instance_id') ?? 0,
    computeInstance: amount(part, 'compute_instance_id') ?? 0,
    uuid: said(part, 'uuid'),
    memoryMiB: amount(part, 'fb_memory_usage/total'),
    memoryUsedMiB: amount(part, 'fb_memory_usage/used'),
    multiprocessors: amount(part, 'device_attributes/shared/multiprocessor_count'),
  };
}

/** The limit in force and the present draw; their names changed with v12 and again with v13. */
function power(gpu: XmlElement): { powerLimitW: number | null; powerW: number | null } {
  const block = find(gpu, 'gpu_power_readings') ?? find(gpu, 'power_readings');
  if (!block) return { powerLimitW: null, powerW: null };
  const limit =
    amount(block, 'current_power_limit') ?? amount(block, 'power_limit') ?? amount(block, 'enforced_power_limit');
  const draw =
    amount(block, 'power_draw') ?? amount(block, 'instant_power_draw') ?? amount(block, 'average_power_draw');
  return { powerLimitW: limit, powerW: draw };
}

/** Uncorrected errors since the driver was loaded. Newer cards tell only SRAM (the caches) and DRAM (the memory) apart. */
function eccErrors(gpu: XmlElement): Gpu['eccErrors'] {
  const old = find(gpu, 'ecc_errors/volatile/double_bit');
  if (old) return { l1: amount(old, 'l1_cache'), l2: amount(old, 'l2_cache'), memory: amount(old, 'device_memory') };
  const now = find(gpu, 'ecc_errors/volatile');
  if (!now) return { l1: null, l2: null, memory: null };
  const secded = amount(now, 'sram_uncorrectable_secded');
  const parity = amount(now, 'sram_uncorrectable_parity');
  const sram =
    amount(now, 'sram_uncorrectable') ?? (secded === null && parity === null ? null : (secded ?? 0) + (parity ?? 0));
  return { l1: null, l2: sram, memory: amount(now, 'dram_uncorrectable') };
}

function displayState(gpu: XmlElement): string {
  const mode = said(gpu, 'display_mode');
  if (mode === 'Enabled' || mode === 'Disabled') return mode;
  const attached = said(gpu, 'display_attached');
  return attached === null ? 'N/A' : attached === 'Yes' ? 'Enabled' : 'Disabled';
}

function trouble(gpu: XmlElement): string | null {
  const action = said(gpu, 'gpu_recovery_action');
  if (action !== null && action !== 'None') return `the driver asks for: ${action}`;
  if (said(gpu, 'gpu_reset_status/reset_required') === 'Yes') return 'the driver asks for a reset';
  const lost = ['product_name', 'fb_memory_usage/total', 'temperature/gpu_temp', 'performance_state']
    .map((path) => find(gpu, path)?.text ?? '')
    .find((text) => /requires reset|is lost|unknown error|^ERR!/i.test(text));
  return lost === undefined ? null : `the driver says: ${lost}`;
}

/** "00000000:0C:00.0" → "0000:0c:00.0". */
function kernelBusId(text: string): string {
  const match = /^(?:[0-9a-f]{4})?([0-9a-f]{4}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/i.exec(text);
  return match ? `${match[1]}:${match[2]}:${match[3]}.${match[4]}`.toLowerCase() : text.toLowerCase();
}

const NOTHING =
  /^(|n\/a|none|unknown|err!|\[.*\]|.*(deprecated|not supported|unknown error|is lost|requires reset).*)$/i;

/** A text that says something. */
function said(element: XmlElement, path: string): string | null {
  const text = find(element, path)?.text ?? '';
  // Of all answers only these two use "None" to say something.
  if (text === 'None' && path.endsWith('action')) return text;
  return NOTHING.test(text) ? null : text;
}

/** The number in "9184 MiB", "320.00 W", "16x" or "65 %". */
function amount(element: XmlElement, path: string): number | null {
  const match = /^(\d{1,15}(?:\.\d{1,6})?)\s?(?:[A-Za-z%/]*)$/.exec(said(element, path) ?? '');
  return match ? Number(match[1]) : null;
}

function positive(value: number | null): number | null {
  return value !== null && value > 0 ? value : null;
}
