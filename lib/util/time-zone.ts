import type { Millis } from './clock.js';
import type { ZoneOffset } from './cron.js';

const zones = new Map<string, ZoneOffset>();

/** The offset of a zone of the IANA database ("Europe/Berlin"), or of this machine ("Local"); undefined: no such zone. */
export function zoneOffset(name: string): ZoneOffset | undefined {
  const known = zones.get(name);
  if (known) return known;
  const format = formatter(name);
  if (!format) return undefined;
  const offset: ZoneOffset = name === 'UTC' ? () => 0 : (at) => offsetAt(format, at);
  zones.set(name, offset);
  return offset;
}

function formatter(name: string): Intl.DateTimeFormat | undefined {
  // An offset such as "+02:00" would be taken as well, but is no zone.
  if (!/^[A-Za-z]/.test(name)) return undefined;
  try {
    return new Intl.DateTimeFormat('en-US', {
      ...(name === 'Local' ? {} : { timeZone: name }),
      hourCycle: 'h23',
      ...{ year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' },
    });
  } catch {
    return undefined;
  }
}

function offsetAt(format: Intl.DateTimeFormat, at: Millis): Millis {
  const second = Math.floor(at / 1000) * 1000;
  const parts: Record<string, number> = {};
  for (const { type, value } of format.formatToParts(second)) parts[type] = Number(value);
  const { year = 0, month = 1, day = 0, hour = 0, minute = 0, second: s = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, s) - second;
}
