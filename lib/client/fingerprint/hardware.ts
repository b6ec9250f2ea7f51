import type { Facts, Fingerprint } from './fact.js';

/** What machine this is, and what feeds it: for constraints such as "not on battery". Asked of systeminformation. */
export const hardwareFingerprint: Fingerprint = {
  name: 'hardware',
  periodMs: 5 * 60_000,
  slow: true,
  async run(): Promise<Facts> {
    const { default: machine } = await import('systeminformation');
    const [system, battery] = await Promise.all([machine.system(), machine.battery()]);
    const attributes: Record<string, string> = {
      'hardware.virtual': String(system.virtual),
      'power.source': battery.hasBattery && !battery.acConnected ? 'battery' : 'mains',
      'power.battery': String(battery.hasBattery),
    };
    if (isKnown(system.manufacturer)) attributes['hardware.manufacturer'] = system.manufacturer;
    if (isKnown(system.model)) attributes['hardware.model'] = system.model;
    return { attributes };
  },
};

// Boards whose maker filled nothing in say so in many ways.
function isKnown(text: string): boolean {
  return (
    text !== '' && text !== '-' && !/^(unknown|default string|to be filled|system (product|manufacturer))/i.test(text)
  );
}
