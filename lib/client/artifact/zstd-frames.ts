import { formatBytes } from '../../util/byte-size.js';
import { refuse } from './failure.js';

/** What a decoder must hold in memory at most; `zstd` itself refuses more unless it is told otherwise. */
const WINDOW_BYTES_MAX = 128 * 1024 * 1024;
const MAGIC = 0xfd2fb528;
/** Frames with data of others, which are passed over: sixteen numbers. */
const SKIPPABLE = 0x184d2a50;
const HEADER_BYTES_MAX = 18;

type Part = 'frame' | 'block' | 'passing';

/**
 * Follows a zstd file through its frames before they are decoded, and refuses a window that is too large: four bytes can
 * ask for two gigabytes of memory, which are moved for each block. Damage is left for the decoder to find.
 */
export class ZstdFrames {
  private part: Part = 'frame';
  private head: number[] = [];
  /** Bytes to pass over, and what comes after them. */
  private left = 0;
  private next: Part = 'frame';
  private hasChecksum = false;

  /** Throws ArtifactError. */
  look(piece: Uint8Array): void {
    for (let at = 0; at < piece.length; ) {
      if (this.part === 'passing') {
        const bytes = Math.min(this.left, piece.length - at);
        at += bytes;
        this.left -= bytes;
        if (this.left === 0) this.part = this.next;
        continue;
      }
      this.head.push(piece[at++] as number);
      if (this.part === 'block') this.block();
      else this.frame();
    }
  }

  private frame(): void {
    const { head } = this;
    if (head.length < 5) return;
    const magic = number(head, 0, 4);
    if (magic - (magic % 16) === SKIPPABLE) {
      if (head.length === 8) this.pass(number(head, 4, 4), 'frame');
      return;
    }
    const flags = head[4] as number;
    const isSingle = (flags & 0x20) !== 0;
    const sizeKind = flags >> 6;
    const sizeBytes = sizeKind === 0 ? Number(isSingle) : 1 << sizeKind;
    const dictionaryBytes = [0, 1, 2, 4][flags & 3] as number;
    const length = 5 + Number(!isSingle) + dictionaryBytes + sizeBytes;
    if (head.length < Math.min(length, HEADER_BYTES_MAX)) return;
    const size = number(head, length - sizeBytes, sizeBytes) + (sizeKind === 1 ? 256 : 0);
    const window = isSingle ? size : windowOf(head[5] as number);
    if (magic === MAGIC && window > WINDOW_BYTES_MAX) {
      throw refuse(
        `the zstd file needs ${formatBytes(window)} of memory; at most ${formatBytes(WINDOW_BYTES_MAX)} are given (compress it without --long or --ultra)`,
      );
    }
    this.hasChecksum = (flags & 4) !== 0;
    this.head = [];
    this.part = 'block';
  }

  private block(): void {
    if (this.head.length < 3) return;
    const header = number(this.head, 0, 3);
    // A block of one byte that is repeated has that byte alone.
    const bytes = ((header >> 1) & 3) === 1 ? 1 : header >> 3;
    const isLast = (header & 1) === 1;
    if (isLast) this.pass(bytes + (this.hasChecksum ? 4 : 0), 'frame');
    else this.pass(bytes, 'block');
  }

  private pass(bytes: number, next: Part): void {
    this.head = [];
    this.left = bytes;
    this.next = next;
    this.part = bytes === 0 ? next : 'passing';
  }
}

function windowOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

/** Little endian. */
function number(bytes: readonly number[], at: number, length: number): number {
  let value = 0;
  for (let i = length - 1; i >= 0; i--) value = value * 256 + (bytes[at + i] ?? 0);
  return value;
}
