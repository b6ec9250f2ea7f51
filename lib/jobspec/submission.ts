import type { JobSubmission } from '../structs/job.js';
import type { ParsedJob } from './parse.js';
import { isComplex, type VariableSources } from './variables.js';

/**
 * What the server keeps beside a job: its source, and the values of its variables, plain ones by name and the others
 * (lists, maps, objects) as lines of HCL.
 */
export function submissionOf(source: string, parsed: ParsedJob, sources: VariableSources): JobSubmission {
  const given = new Map<string, string>();
  for (const prefix of ['NOMAD_VAR_', 'MESHNOMAD_VAR_']) {
    for (const [key, value] of Object.entries(sources.env ?? {})) {
      const name = key.slice(prefix.length);
      if (key.startsWith(prefix) && value !== undefined && parsed.variables.has(name)) given.set(name, value);
    }
  }
  for (const flag of sources.flags ?? []) {
    const equals = flag.indexOf('=');
    if (equals > 0) given.set(flag.slice(0, equals), flag.slice(equals + 1));
  }
  const isLine = ([name]: [string, string]): boolean => {
    const declaration = parsed.variables.get(name);
    return declaration !== undefined && isComplex(declaration);
  };
  const plain = [...given].filter((pair) => !isLine(pair));
  const lines = [...given].filter(isLine).map(([name, value]) => `${name} = ${value}`);
  const files = (sources.files ?? []).map((file) => file.source.trimEnd());
  return {
    Source: source,
    Format: parsed.format,
    VariableFlags: plain.length > 0 ? Object.fromEntries(plain) : null,
    Variables: [...files, ...lines].join('\n'),
  };
}
