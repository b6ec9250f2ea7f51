import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';
import type parser from 'hcl2-parser';

const NAME = 'hcl2-parser.code';

interface Loaded {
  parser: typeof parser;
  /** To be called once it has worked: what it compiled on the way is then kept for the next time. */
  keep(): void;
}

let loaded: Loaded | undefined;

/**
 * Loads hcl2-parser: 3.8 MB of JavaScript, which take 330 ms to compile, start and read a file. V8's compiled form of it is
 * kept in `folder` (the user's cache), which brings that down to 70 ms; V8 itself refuses what another version or other
 * flags wrote. Null keeps nothing.
 */
export function loadOtherParser(folder: string | null): Loaded {
  loaded ??= load(folder);
  return loaded;
}

function load(folder: string | null): Loaded {
  const require = createRequire(import.meta.url);
  const filename = require.resolve('hcl2-parser');
  const cachedData = folder === null ? undefined : read(join(folder, NAME));
  const script = new Script(Module.wrap(readFileSync(filename, 'utf8')), {
    filename,
    ...(cachedData && { cachedData }),
  });
  const module = { exports: {} as typeof parser };
  const start = script.runInThisContext() as (...around: unknown[]) => void;
  start(module.exports, require, module, filename, dirname(filename));
  let isKept = cachedData !== undefined && !script.cachedDataRejected;
  return {
    parser: module.exports,
    keep() {
      if (folder !== null && !isKept) write(folder, script.createCachedData());
      isKept = true;
    },
  };
}

function read(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

/** Whole or not at all; a cache that cannot be written is none. */
function write(folder: string, data: Buffer): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const draft = join(folder, `${NAME}.${process.pid}`);
    writeFileSync(draft, data, { mode: 0o600 });
    renameSync(draft, join(folder, NAME));
  } catch {
    // The next time takes as long as this one.
  }
}
