import { createReadStream } from 'node:fs';
import { Readable, Transform } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { ArtifactError, refuse } from './failure.js';

/** How a file may be compressed. */
export type Compression = 'gz' | 'bz2' | 'xz' | 'zst';

/** A little input may become much output at once: so it is given in small pieces, and looked at in between. */
const PIECE_BYTES = 512;

/** The content of a file, decompressed. Errors of the stream say what is wrong with the file. */
export async function openFile(file: string, compression: Compression | null): Promise<Readable> {
  if (compression === 'bz2') {
    const { bunzip } = await import('./bunzip.js');
    return Readable.from(bunzip(file), { highWaterMark: 1 });
  }
  const source = createReadStream(file, compression === 'zst' ? { highWaterMark: PIECE_BYTES } : {});
  if (compression === null) return source;
  const output = await decompressor(source, compression);
  source.on('error', (error) => output.destroy(error));
  // It may fail before anybody reads it: whoever reads it then is told.
  output.on('error', () => {});
  output.on('close', () => source.destroy());
  return output;
}

async function decompressor(source: Readable, compression: Exclude<Compression, 'bz2'>): Promise<Readable> {
  switch (compression) {
    case 'gz':
      return source.pipe(createGunzip());
    case 'xz': {
      const { default: xz } = await import('xz-decompress');
      const web = Readable.toWeb(source) as ConstructorParameters<typeof xz.XzReadableStream>[0];
      return Readable.fromWeb(new xz.XzReadableStream(web) as Parameters<typeof Readable.fromWeb>[0]);
    }
    case 'zst':
      return source.pipe(await zstd());
  }
}

async function zstd(): Promise<Transform> {
  const { Decompress } = await import('fzstd');
  const { ZstdFrames } = await import('./zstd-frames.js');
  const inner = new Decompress();
  const frames = new ZstdFrames();
  const stream = new Transform({
    transform(piece: Buffer, _, next) {
      try {
        frames.look(piece);
        inner.push(piece);
        next();
      } catch (error) {
        next(
          error instanceof ArtifactError
            ? error
            : refuse(`it is no zstd file: ${error instanceof Error ? error.message : String(error)}`),
        );
      }
    },
    flush(next) {
      try {
        inner.push(new Uint8Array(0), true);
        next();
      } catch (error) {
        next(refuse(`the zstd file is cut off: ${error instanceof Error ? error.message : String(error)}`));
      }
    },
  });
  inner.ondata = (data) => void stream.push(data);
  return stream;
}
