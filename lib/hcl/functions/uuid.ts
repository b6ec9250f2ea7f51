/** The 16 bytes of a UUID, also in braces, with urn:uuid: before it, or without hyphens; null when it is none. */
export function parseUuid(source: string): Uint8Array | null {
  const bare = source.replace(/^urn:uuid:/i, '').replace(/^\{(.*)\}$/, '$1');
  const hyphens = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(bare);
  if (!hyphens && !/^[0-9a-f]{32}$/i.test(source)) return null;
  return Uint8Array.from(bare.replaceAll('-', '').match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** 16 bytes as the text of a UUID of a version, whose bits are set. */
export function printUuid(bytes: Uint8Array, version: number): string {
  const digits = Array.from(bytes, (byte, i) => {
    const marked = i === 6 ? (byte & 0x0f) | (version << 4) : i === 8 ? (byte & 0x3f) | 0x80 : byte;
    return marked.toString(16).padStart(2, '0');
  }).join('');
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
