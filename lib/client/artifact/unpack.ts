import { Readable } from 'node:stream';
import { type Compression, openFile } from './decompress.js';
import { ArtifactError, reasonOf, refuse } from './failure.js';
import { TreeBuilder, type TreeLimits } from './tree.js';

/** What a downloaded file is: a tree of files, or one file that is compressed. */
export type Archive =
  | { kind: 'tar'; compression: Compression | null }
  | { kind: 'zip' }
  | { kind: 'one'; compression: Compression };

/** Endings of names, and what `archive = "…"` may say; longer ones first. */
const ENDINGS: readonly [string, Archive][] = [
  ['tar.gz', { kind: 'tar', compression: 'gz' }],
  ['tar.bz2', { kind: 'tar', compression: 'bz2' }],
  ['tar.xz', { kind: 'tar', compression: 'xz' }],
  ['tar.zst', { kind: 'tar', compression: 'zst' }],
  ['tbz2', { kind: 'tar', compression: 'bz2' }],
  ['tgz', { kind: 'tar', compression: 'gz' }],
  ['txz', { kind: 'tar', compression: 'xz' }],
  ['tzst', { kind: 'tar', compression: 'zst' }],
  ['tar', { kind: 'tar', compression: null }],
  ['zip', { kind: 'zip' }],
  ['bz2', { kind: 'one', compression: 'bz2' }],
  ['gz', { kind: 'one', compression: 'gz' }],
  ['xz', { kind: 'one', compression: 'xz' }],
  ['zst', { kind: 'one', compression: 'zst' }],
];

/**
 * What to make of a file: what `archive` says, else what its name says. Null: it is left as it is. Throws ArtifactError
 * for an unknown word.
 */
export function archiveOf(name: string, said: string): { archive: Archive; ending: string } | null {
  if (said === 'false' || said === '0') return null;
  if (said === '' || said === 'true' || said === '1') {
    const found = ENDINGS.find(([ending]) => name.endsWith(`.${ending}`));
    return found ? { archive: found[1], ending: found[0] } : null;
  }
  const found = ENDINGS.find(([ending]) => ending === said);
  if (!found)
    throw refuse(
      `archive = ${JSON.stringify(said)} is unknown; known are ${ENDINGS.map(([ending]) => ending).join(', ')} and false`,
    );
  return { archive: found[1], ending: found[0] };
}

/** Unpacks a file into a new directory; one that is only compressed becomes the file `name` in it. */
export async function unpack(
  file: string,
  archive: Archive,
  into: { root: string; name: string; limits: TreeLimits },
): Promise<void> {
  const builder = new TreeBuilder(into.root, into.limits);
  try {
    switch (archive.kind) {
      case 'one':
        await builder.file(into.name, 0o644, await openFile(file, archive.compression));
        return;
      case 'tar':
        await untar(await openFile(file, archive.compression), builder);
        return;
      case 'zip':
        await unzip(file, builder);
    }
  } catch (error) {
    if (error instanceof ArtifactError || isOfDisk(error)) throw error;
    throw refuse(`it cannot be unpacked: ${reasonOf(error)}`);
  }
}

function isOfDisk(error: unknown): boolean {
  return ['ENOSPC', 'EIO', 'EDQUOT', 'EMFILE'].includes((error as NodeJS.ErrnoException).code ?? '');
}

async function untar(content: Readable, builder: TreeBuilder): Promise<void> {
  const { extract } = await import('tar-stream');
  const reader = extract();
  // What is not compressed as its name says has failed by now, and fails once only.
  if (content.errored) throw content.errored;
  content.on('error', (error) => reader.destroy(error));
  reader.on('close', () => content.destroy());
  content.pipe(reader);
  let entries = 0;
  for await (const entry of reader) {
    entries++;
    const { name, type, mode = 0o644, linkname } = entry.header;
    switch (type) {
      case 'file':
      case 'contiguous-file':
        await builder.file(name, mode, Readable.from(entry));
        break;
      case 'directory':
        await builder.directory(name, mode);
        break;
      case 'symlink':
        await builder.symlink(name, linkname ?? '');
        break;
      case 'link':
        await builder.hardLink(name, linkname ?? '');
        break;
      case 'pax-global-header' as string:
        break;
      default:
        throw refuse(`${JSON.stringify(name)} is a ${type}: only files, directories and links are unpacked`);
    }
    entry.resume();
  }
  if (entries === 0) throw refuse('it is no tar archive, or an empty one');
}

/** The upper half of a zip entry's attributes is its Unix mode. */
const TYPE = 0o170000;
const LINK = 0o120000;
const REGULAR = 0o100000;
const DIRECTORY = 0o040000;
const LINK_BYTES_MAX = 4_096;

async function unzip(file: string, builder: TreeBuilder): Promise<void> {
  const { default: yauzl } = await import('yauzl');
  const zip = await new Promise<import('yauzl').ZipFile>((resolve, reject) => {
    yauzl.open(file, { lazyEntries: true, autoClose: false, strictFileNames: true }, (error, opened) =>
      error ? reject(error) : resolve(opened),
    );
  });
  try {
    for (;;) {
      const entry = await nextEntry(zip);
      if (!entry) return;
      await unzipEntry(zip, entry, builder);
    }
  } finally {
    zip.close();
  }
}

function nextEntry(zip: import('yauzl').ZipFile): Promise<import('yauzl').Entry | null> {
  return new Promise((resolve, reject) => {
    const done = (settle: () => void): void => {
      zip.removeAllListeners('entry').removeAllListeners('end').removeAllListeners('error');
      settle();
    };
    zip.once('entry', (entry: import('yauzl').Entry) => done(() => resolve(entry)));
    zip.once('end', () => done(() => resolve(null)));
    zip.once('error', (error: Error) => done(() => reject(error)));
    zip.readEntry();
  });
}

async function unzipEntry(
  zip: import('yauzl').ZipFile,
  entry: import('yauzl').Entry,
  builder: TreeBuilder,
): Promise<void> {
  const { fileName: name } = entry;
  const unix = entry.externalFileAttributes >>> 16;
  const type = unix & TYPE;
  if (name.endsWith('/') || type === DIRECTORY) {
    await builder.directory(name, unix === 0 ? 0o755 : unix);
    return;
  }
  if (type !== 0 && type !== REGULAR && type !== LINK) {
    throw refuse(`${JSON.stringify(name)} is a special file: only files, directories and links are unpacked`);
  }
  const content = await new Promise<Readable>((resolve, reject) => {
    zip.openReadStream(entry, (error, stream) => (error ? reject(error) : resolve(stream)));
  });
  if (type === LINK) await builder.symlink(name, await shortText(content, name));
  else await builder.file(name, unix === 0 ? 0o644 : unix, content);
}

async function shortText(content: Readable, name: string): Promise<string> {
  let text = '';
  for await (const piece of content as AsyncIterable<Buffer>) {
    text += piece.toString('utf8');
    if (text.length > LINK_BYTES_MAX) throw refuse(`the link ${JSON.stringify(name)} is too long`);
  }
  return text;
}
