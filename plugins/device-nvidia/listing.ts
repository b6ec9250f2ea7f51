/** What `nvidia-smi -L` says of a part of a GPU: only there is its profile, and with older drivers its UUID. */
export interface ListedPart {
  /** "1g.10gb". */
  readonly profile: string;
  readonly uuid: string;
}

/** The parts of each GPU by its UUID, in order. */
export function parseListing(text: string): Map<string, ListedPart[]> {
  const parts = new Map<string, ListedPart[]>();
  let current: ListedPart[] | undefined;
  for (const line of text.split('\n', 10_000)) {
    const gpu = /^GPU \d+: .*\(UUID: (GPU-[\w-]+)\)/.exec(line);
    if (gpu) {
      current = [];
      parts.set(gpu[1] as string, current);
      continue;
    }
    const part = /^\s+MIG (\S+)\s+Device\s+\d+: \(UUID: (MIG-[\w/-]+)\)/.exec(line);
    if (part) current?.push({ profile: part[1] as string, uuid: part[2] as string });
  }
  return parts;
}
