// Reads the QR code that a terminal shows, by the rules of ISO/IEC 18004 and with no part of the program that draws it: whatever is
// drawn wrongly (a module, the mask, the order of the blocks, one bit of a code word) makes it throw.

/** Correction code words of a block, and blocks, of versions 1 … 20 at level L (table 9). */
const CORRECTION = [7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28];
const BLOCKS = [1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8];
const LEVEL_L = 1;
const FORMAT_MASK = 0x5412;
const FORMAT_GENERATOR = 0x537;
const FIELD_POLYNOMIAL = 0x11d;
const ALPHANUMERIC = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:';
/** Table 10. */
const MASKS: readonly ((x: number, y: number) => boolean)[] = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => ((x / 3) | 0) % 2 === ((y / 2) | 0) % 2,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

type Modules = readonly (readonly boolean[])[];

/** The dark modules, without the quiet zone; each character shows two of them, one above the other, and light is what is drawn. */
export function qrModules(lines: readonly string[]): boolean[][] {
  const light = lines.flatMap((line) => [
    [...line].map((char) => '█▀'.includes(char)),
    [...line].map((char) => '█▄'.includes(char)),
  ]);
  const isDark = (row: readonly boolean[]): boolean => row.includes(false);
  const top = light.findIndex(isDark);
  const left = (light[top] as boolean[]).indexOf(false);
  if (top < 1 || left < 1) throw new Error('there is no quiet zone');
  const size = (light[top] as boolean[]).lastIndexOf(false) + 1 - left;
  return light.slice(top, top + size).map((row) => row.slice(left, left + size).map((isLight) => !isLight));
}

/** What the code says. */
export function readQr(modules: Modules): string {
  const size = modules.length;
  const version = (size - 17) / 4;
  if (!Number.isInteger(version) || version < 1 || version > BLOCKS.length) throw new Error(`${size} modules a side`);
  const mask = MASKS[readFormat(modules)] as (x: number, y: number) => boolean;
  const bits: number[] = [];
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step++) {
      const y = ((right + 1) & 2) === 0 ? size - 1 - step : step;
      for (const x of [right, right - 1])
        if (!isFunction(x, y, version)) bits.push(Number(modules[y]?.[x] !== mask(x, y)));
    }
  }
  return readSegments(readBlocks(bytesOf(bits), version), version);
}

/** The mask; throws when its fifteen bits are no code word, or of another level. */
function readFormat(modules: Modules): number {
  const at = (x: number, y: number): number => Number(modules[y]?.[x] === true);
  let bits = 0;
  for (let i = 14; i >= 9; i--) bits = (bits << 1) | at(14 - i, 8);
  for (const [x, y] of [
    [7, 8],
    [8, 8],
    [8, 7],
  ] as const)
    bits = (bits << 1) | at(x, y);
  for (let i = 5; i >= 0; i--) bits = (bits << 1) | at(8, i);
  bits ^= FORMAT_MASK;
  let rest = bits;
  for (let i = 14; i >= 10; i--) if ((rest >> i) & 1) rest ^= FORMAT_GENERATOR << (i - 10);
  if (rest !== 0) throw new Error('the format is damaged');
  if (bits >> 13 !== LEVEL_L) throw new Error('another level of correction than L');
  return (bits >> 10) & 7;
}

function isFunction(x: number, y: number, version: number): boolean {
  const size = version * 4 + 17;
  const isCorner = (a: number, b: number): boolean => a < 9 && b < 9;
  if (x === 6 || y === 6 || isCorner(x, y) || isCorner(size - x, y) || isCorner(x, size - y)) return true;
  if (version >= 7 && ((x < 6 && y >= size - 11) || (y < 6 && x >= size - 11))) return true;
  const centres = alignments(version);
  return centres.some((cx) =>
    centres.some((cy) => !isFinder(cx, cy, size) && Math.abs(x - cx) <= 2 && Math.abs(y - cy) <= 2),
  );
}

const isFinder = (x: number, y: number, size: number): boolean =>
  (x === 6 && y === 6) || (x === 6 && y === size - 7) || (x === size - 7 && y === 6);

function alignments(version: number): number[] {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const step = Math.ceil((version * 4 + 4) / (count * 2 - 2)) * 2;
  return [6, ...Array.from({ length: count - 1 }, (_, i) => version * 4 + 10 - i * step)];
}

function bytesOf(bits: readonly number[]): number[] {
  return Array.from({ length: bits.length >> 3 }, (_, i) =>
    bits.slice(i * 8, i * 8 + 8).reduce((byte, bit) => (byte << 1) | bit, 0),
  );
}

/** The data, each block of which must be free of errors. */
function readBlocks(words: readonly number[], version: number): number[] {
  const [count, correction] = [BLOCKS[version - 1] as number, CORRECTION[version - 1] as number];
  const shortData = Math.floor(words.length / count) - correction;
  const shortBlocks = count - (words.length % count);
  const blocks: number[][] = Array.from({ length: count }, () => []);
  let next = 0;
  const deal = (block: number): number => (blocks[block] as number[]).push(words[next++] as number);
  for (let i = 0; i <= shortData; i++)
    for (let block = 0; block < count; block++) if (i < shortData || block >= shortBlocks) deal(block);
  const data = blocks.flatMap((block) => [...block]);
  for (let i = 0; i < correction; i++) for (let block = 0; block < count; block++) deal(block);
  for (const block of blocks) checkBlock(block, correction);
  return data;
}

/** Every syndrome of a Reed-Solomon code word is 0. */
function checkBlock(block: readonly number[], correction: number): void {
  let root = 1;
  for (let i = 0; i < correction; i++) {
    if (block.reduce((sum, word) => times(sum, root) ^ word, 0) !== 0) throw new Error('a block is damaged');
    root = times(root, 2);
  }
}

function times(a: number, b: number): number {
  let product = 0;
  for (let bit = 7; bit >= 0; bit--) {
    product = (product << 1) ^ ((product >> 7) * FIELD_POLYNOMIAL);
    if ((b >> bit) & 1) product ^= a;
  }
  return product;
}

function readSegments(data: readonly number[], version: number): string {
  let at = 0;
  const take = (bits: number): number => {
    let value = 0;
    for (; bits > 0; bits--, at++) value = (value << 1) | (((data[at >> 3] ?? 0) >> (7 - (at & 7))) & 1);
    return value;
  };
  let text = '';
  for (let mode = take(4); mode !== 0; mode = at + 4 <= data.length * 8 ? take(4) : 0) {
    if (mode === 4) {
      for (let left = take(version < 10 ? 8 : 16); left > 0; left--) text += String.fromCharCode(take(8));
    } else if (mode === 2) {
      let left = take(version < 10 ? 9 : 11);
      for (; left >= 2; left -= 2) {
        const pair = take(11);
        text += `${ALPHANUMERIC[Math.floor(pair / 45)]}${ALPHANUMERIC[pair % 45]}`;
      }
      if (left === 1) text += ALPHANUMERIC[take(6)];
    } else {
      throw new Error(`a segment of mode ${mode}`);
    }
  }
  return text;
}
