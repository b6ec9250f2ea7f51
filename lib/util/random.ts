/** Source of randomness of the pure layers: seeded in tests and simulation, from the system's entropy in an agent. */
export interface Random {
  /** A number in [0, 1). */
  next(): number;
}

/** A seeded generator (xoshiro128**, Blackman and Vigna 2018): the same seed gives the same world. */
export function seededRandom(seed: number): Random {
  // splitmix32 spreads a small seed over the whole state; an all-zero state would stay zero for ever.
  let s = seed >>> 0;
  const split = (): number => {
    s = (s + 0x9e3779b9) >>> 0;
    let z = s;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
  let a = split();
  let b = split();
  let c = split();
  let d = split() | 1;
  const rotl = (x: number, k: number): number => ((x << k) | (x >>> (32 - k))) >>> 0;
  return {
    next(): number {
      const result = Math.imul(rotl(Math.imul(b, 5), 7), 9) >>> 0;
      const t = (b << 9) >>> 0;
      c ^= a;
      d ^= b;
      b ^= c;
      a ^= d;
      c ^= t;
      d = rotl(d, 11);
      return result / 0x1_0000_0000;
    },
  };
}

/** An integer in [0, limit). */
export function randomInt(random: Random, limit: number): number {
  return Math.floor(random.next() * limit);
}

const HEX = [...'0123456789abcdef'].map((digit) => digit.charCodeAt(0));
const DASH = 0x2d;

/** A version 4 UUID from the given randomness (RFC 9562, section 5.4). */
export function randomUuid(random: Random): string {
  const a = randomInt(random, 0x1_0000_0000) >>> 0;
  const b = ((randomInt(random, 0x1_0000_0000) & 0xffff_0fff) | 0x4000) >>> 0;
  const c = ((randomInt(random, 0x1_0000_0000) & 0x3fff_ffff) | 0x8000_0000) >>> 0;
  const d = randomInt(random, 0x1_0000_0000) >>> 0;
  const h = (word: number, shift: number): number => HEX[(word >>> shift) & 15] as number;
  // One call makes one flat string: joining parts would leave three times its size as garbage, and ids are made by the million.
  // biome-ignore format: one line a group of digits
  return String.fromCharCode(
    h(a, 28), h(a, 24), h(a, 20), h(a, 16), h(a, 12), h(a, 8), h(a, 4), h(a, 0), DASH,
    h(b, 28), h(b, 24), h(b, 20), h(b, 16), DASH,
    h(b, 12), h(b, 8), h(b, 4), h(b, 0), DASH,
    h(c, 28), h(c, 24), h(c, 20), h(c, 16), DASH,
    h(c, 12), h(c, 8), h(c, 4), h(c, 0), h(d, 28), h(d, 24), h(d, 20), h(d, 16), h(d, 12), h(d, 8), h(d, 4), h(d, 0),
  );
}
