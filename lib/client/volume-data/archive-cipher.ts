import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { ADDRESS_BYTES, Chunker } from '../../archive/index.js';
import { MeshError } from '../../structs/errors.js';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const GEAR_BYTES = 1024;

/**
 * What is made with the key of an archive. Whoever holds a copy without it learns how much there is, and nothing else: addresses of
 * chunks are keyed, blocks are encrypted as a whole, and even where chunks end depends on the key.
 */
export class ArchiveCipher {
  readonly chunker: Chunker;
  readonly #archiveId: string;
  readonly #addressKey: Buffer;
  readonly #blockKey: Buffer;

  /** `key`: 32 bytes. */
  constructor(archiveId: string, key: Uint8Array) {
    const derive = (what: string, bytes: number): Buffer =>
      Buffer.from(hkdfSync('sha256', key, archiveId, `meshnomad/volume-archive/1/${what}`, bytes));
    this.#archiveId = archiveId;
    this.#addressKey = derive('address', 32);
    this.#blockKey = derive('block', 32);
    this.chunker = new Chunker(derive('gear', GEAR_BYTES));
  }

  /** The address of a content: equal for equal content, and known to nobody without the key. */
  address(content: Uint8Array): Uint8Array {
    return createHmac('sha256', this.#addressKey).update(content).digest().subarray(0, ADDRESS_BYTES);
  }

  /** A block for one place of one core, and no other. */
  seal(coreKey: string, index: number, body: Uint8Array): Uint8Array {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#blockKey, nonce);
    cipher.setAAD(this.#place(coreKey, index));
    return Buffer.concat([nonce, cipher.update(body), cipher.final(), cipher.getAuthTag()]);
  }

  /** Throws E_STORAGE when the block is not what was written at that place. */
  open(coreKey: string, index: number, block: Uint8Array): Uint8Array {
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#blockKey, block.subarray(0, NONCE_BYTES));
      decipher.setAAD(this.#place(coreKey, index));
      decipher.setAuthTag(block.subarray(-TAG_BYTES));
      const body = decipher.update(block.subarray(NONCE_BYTES, -TAG_BYTES));
      return Buffer.concat([body, decipher.final()]);
    } catch (cause) {
      throw new MeshError('E_STORAGE', `block ${index} of core ${coreKey.slice(0, 8)} is damaged or not ours`, {
        cause,
      });
    }
  }

  #place(coreKey: string, index: number): Buffer {
    return Buffer.from(`${this.#archiveId}\0${coreKey}\0${index}`);
  }
}
