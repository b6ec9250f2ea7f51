/** Highest port number. */
export const PORT_MAX = 65_535;

/** A range of ports, both ends in it. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** Reads "22,80,8500-8600", an empty text as no port; null for each part that is none. */
export function parsePortRanges(text: string): (PortRange | null)[] {
  if (text.trim() === '') return [];
  return text.split(',').map((part) => {
    const [, first, last = first] = /^\s*(\d+)\s*(?:-\s*(\d+)\s*)?$/.exec(part) ?? [];
    const [from, to] = [Number(first), Number(last)];
    return from <= to && to <= PORT_MAX ? { from, to } : null;
  });
}
