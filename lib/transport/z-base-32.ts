// z-base-32: five bits a letter, the easily confused ones left out. Case and whatever a chat or a line break put between the
// letters do not matter when it is read.

const LETTERS = 'ybndrfg8ejkmcpqxot1uwisza345h769';
const VALUES = new Map([...LETTERS].map((letter, value) => [letter, value]));

export function encodeZBase32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += LETTERS[(held >>> bits) & 31];
    }
    held &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + LETTERS[(held << (5 - bits)) & 31];
}

/** Undefined for a letter that is none, and for bits left over that are not zero. */
export function decodeZBase32(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(Math.floor((text.length * 5) / 8));
  let at = 0;
  let bits = 0;
  let held = 0;
  for (const letter of text.toLowerCase()) {
    const value = VALUES.get(letter);
    if (value === undefined) return undefined;
    held = (held << 5) | value;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = held >>> bits;
    held &= (1 << bits) - 1;
  }
  return held === 0 && bits < 5 ? bytes : undefined;
}
