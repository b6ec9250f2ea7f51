import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FilePolicies } from '../autoscaler/index.js';
import type { ScalingPolicy } from '../structs/job.js';
import { readPolicyFile } from './policy-file.js';

/** The policies of a directory, file by file. */
export interface PolicyDir extends FilePolicies {
  files: ReadonlyMap<string, readonly ScalingPolicy[]>;
}

/** Where there is no directory. */
export const NO_POLICIES: PolicyDir = { files: new Map(), policies: [], broken: [] };

/**
 * Reads all files of a directory, in the order of their names. One that cannot be read has the policies that it had `before`; a name
 * that stands twice is that of the first.
 */
export function readPolicyDir(dir: string, before: PolicyDir = NO_POLICIES): PolicyDir {
  let names: string[];
  try {
    names = readdirSync(dir).filter((name) => /\.(hcl|json)$/.test(name));
  } catch (error) {
    const why = `the directory of policies: cannot read ${dir}: ${(error as Error).message}`;
    return { ...before, broken: [{ file: dir, why }] };
  }
  const files = new Map<string, readonly ScalingPolicy[]>();
  const broken: { file: string; why: string }[] = [];
  const owners = new Map<string, string>();
  for (const file of names.sort().map((name) => join(dir, name))) {
    const read = readOne(file);
    if (!read.ok) broken.push({ file, why: read.error });
    const own = (read.ok ? read.value : (before.files.get(file) ?? [])).filter(({ ID }) => {
      const owner = owners.get(ID);
      owners.set(ID, owner ?? file);
      if (owner !== undefined)
        broken.push({ file, why: `${file}: scaling "${ID}" is in ${owner} already; this one is not used` });
      return owner === undefined;
    });
    files.set(file, own);
  }
  return { files, policies: [...files.values()].flat(), broken };
}

function readOne(file: string): ReturnType<typeof readPolicyFile> {
  try {
    return readPolicyFile(readFileSync(file, 'utf8'), file);
  } catch (error) {
    return { ok: false, error: `${file}: ${(error as Error).message}` };
  }
}
