import type { Attribute, Body, Diagnostic, EvalContext, Value } from '../hcl/index.js';
import { attributesOf, blocksOf, errorAt, objectValue, references, UNKNOWN } from '../hcl/index.js';
import { evaluateIn } from './interpolation.js';

interface Local {
  attribute: Attribute;
  /** Names of the locals that it reads. */
  needs: string[];
}

/** The value of `local`: all `locals` blocks together, in whatever order they are written. */
export function localValues(body: Body, context: EvalContext, source: string, diagnostics: Diagnostic[]): Value {
  const locals = collect(body, diagnostics);
  const done = new Map<string, Value>();
  const names = new Set(['var', 'local']);

  const visit = (name: string, path: readonly string[]): void => {
    const local = locals.get(name);
    if (!local || done.has(name)) return;
    if (path.includes(name)) {
      const cycle = [...path.slice(path.indexOf(name)), name].map((n) => `local.${n}`).join(' → ');
      const detail = `These locals need each other: ${cycle}.`;
      diagnostics.push(errorAt(local.attribute.range, 'Circular reference in locals', detail));
      done.set(name, UNKNOWN);
      return;
    }
    for (const other of local.needs) visit(other, [...path, name]);
    // A cycle through this one has been told.
    if (done.has(name)) return;
    const variables = new Map([['local', objectValue(done)]]);
    const scope = { context: { variables, parent: context }, names, source };
    const { value, diagnostics: found } = evaluateIn(local.attribute.expression, scope);
    diagnostics.push(...found);
    done.set(name, value);
  };

  for (const name of locals.keys()) visit(name, []);
  return objectValue(done);
}

function collect(body: Body, diagnostics: Diagnostic[]): Map<string, Local> {
  const attributes = new Map<string, Attribute>();
  for (const block of blocksOf(body, 'locals')) {
    for (const inner of blocksOf(block.body)) {
      const detail = `Blocks are not allowed here.`;
      diagnostics.push(errorAt(inner.headerRange, `Unexpected "${inner.type}" block`, detail));
    }
    for (const attribute of attributesOf(block.body)) {
      if (attributes.has(attribute.name)) {
        const detail = `The local "${attribute.name}" is defined twice.`;
        diagnostics.push(errorAt(attribute.nameRange, 'Duplicate local', detail, block.headerRange));
      } else attributes.set(attribute.name, attribute);
    }
  }
  const all = [...attributes.keys()];
  return new Map([...attributes].map(([name, attribute]) => [name, { attribute, needs: needsOf(attribute, all) }]));
}

function needsOf(attribute: Attribute, all: readonly string[]): string[] {
  return references(attribute.expression).flatMap(({ root, steps }) => {
    if (root !== 'local') return [];
    const [step] = steps;
    if (step?.kind === 'attribute') return [step.name];
    if (step?.kind === 'index' && step.key.kind === 'string') return [step.key.value];
    // `local` as a whole, or with a computed key: any of them.
    return all.filter((name) => name !== attribute.name);
  });
}
