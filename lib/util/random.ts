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

/** A version 4 UUID from the given randomness (RFC 9562, section 5.4). */
export function randomUuid(random: Random): string {
  const hex = (limit: number, width: number): string => randomInt(random, limit).toString(16).padStart(width, '0');
  const variant = (0x8000 + randomInt(random, 0x4000)).toString(16);
  return `${hex(0x1_0000_0000, 8)}-${hex(0x10000, 4)}-4${hex(0x1000, 3)}-${variant}-${hex(0x1_0000_0000, 8)}${hex(0x10000, 4)}`;
}
