import type { DescribedDevice } from '../../lib/plugin/sdk/group-devices.js';
import type { UsbDevice } from './bus.js';

/** What the agent's config says: ids such as "10c4:ea60" or, for all of a maker, "10c4". */
export interface OfferRules {
  include: readonly string[];
  exclude: readonly string[];
}

/** Coral's stick, before and after its first use: then it comes back under another id. */
const TPU_IDS = new Set(['1a6e:089a', '18d1:9302']);
/** Sound, keyboards and mice, printers, disks, hubs: what belongs to whoever sits there, or to the machine. */
const OWN_CLASSES = new Set(['01', '03', '07', '08', '09']);

/** The devices that are given out, described. Pure. */
export function offered(devices: readonly UsbDevice[], rules: OfferRules): (DescribedDevice & { device: UsbDevice })[] {
  const chosen = devices.filter((device) => isOffered(device, rules));
  const named = chosen.map((device) => ({
    device,
    vendor: vendorOf(device),
    type: typeOf(device),
    model: modelOf(device),
  }));
  return named.map(({ device, vendor, type, model }) => {
    // Two kinds that call themselves alike are not one model.
    const isShared = named.some((other) => other.model === model && other.device.usbId !== device.usbId);
    return {
      device,
      vendor,
      type,
      model: isShared ? `${model} (${device.usbId})` : model,
      attributes: {
        usb_id: { String: device.usbId },
        ...(device.drivers[0] === undefined ? {} : { driver: { String: device.drivers[0] } }),
        ...(device.speed === null ? {} : { speed: { Int: Math.round(device.speed) } }),
      },
      instance: { ID: idOf(device), Healthy: true, HealthDescription: '', Locality: null },
    };
  });
}

function isOffered(device: UsbDevice, { include, exclude }: OfferRules): boolean {
  const names = (rule: string): boolean =>
    device.usbId === rule.toLowerCase() || device.usbId.startsWith(`${rule.toLowerCase()}:`);
  if (exclude.some(names)) return false;
  if (include.some(names)) return true;
  if (device.isTaken) return false;
  return device.lines.length > 0 || TPU_IDS.has(device.usbId) || !device.classes.every((one) => OWN_CLASSES.has(one));
}

function typeOf({ usbId, lines }: UsbDevice): string {
  if (TPU_IDS.has(usbId)) return 'tpu';
  return lines.length > 0 ? 'serial' : 'usb';
}

function vendorOf({ usbId, manufacturer }: UsbDevice): string {
  if (TPU_IDS.has(usbId)) return 'google';
  const slug = manufacturer
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  return slug || usbId.slice(0, 4);
}

function modelOf({ usbId, product }: UsbDevice): string {
  if (TPU_IDS.has(usbId)) return 'Coral USB Accelerator';
  return product || usbId;
}

/** What stays when it is plugged in elsewhere, if it says who it is; else its port. */
function idOf({ lines, port }: UsbDevice): string {
  return lines[0]?.byId?.split('/').at(-1) ?? `port-${port}`;
}
