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

  const resolve = (name: string, local: Local): void => {
    // A cycle through this one has been told.
    if (done.has(name)) return;
    const variables = new Map([['local', objectValue(done)]]);
    const scope = { context: { variables, parent: context }, names, source };
    const { value, diagnostics: found } = evaluateIn(local.attribute.expression, scope);
    diagnostics.push(...found);
    done.set(name, value);
  };

  for (const start of locals.keys()) {
    // A stack of its own: thousands of locals may lean on each other.
    const path = new Map<string, number>();
    const stack: string[] = [];
    const enter = (name: string): void => {
      if (done.has(name) || !locals.has(name)) return;
      if (path.has(name)) {
        complainOfCycle([...stack.slice(stack.indexOf(name)), name], locals, done, diagnostics);
        return;
      }
      stack.push(name);
      path.set(name, 0);
    };
    for (enter(start); stack.length > 0; ) {
      const name = stack.at(-1) as string;
      const local = locals.get(name) as Local;
      const next = path.get(name) as number;
      path.set(name, next + 1);
      const need = local.needs[next];
      if (need !== undefined) {
        enter(need);
        continue;
      }
      resolve(name, local);
      stack.pop();
      path.delete(name);
    }
  }
  return objectValue(done);
}

const CYCLE_SHOWN = 10;

function complainOfCycle(
  cycle: readonly string[],
  locals: ReadonlyMap<string, Local>,
  done: Map<string, Value>,
  diagnostics: Diagnostic[],
): void {
  const name = cycle[0] as string;
  const local = locals.get(name) as Local;
  const names = cycle.map((each) => `local.${each}`);
  const shown = names.length > CYCLE_SHOWN ? [...names.slice(0, CYCLE_SHOWN - 2), '…', names.at(-1)] : names;
  const detail = `These locals need each other: ${shown.join(' → ')}.`;
  diagnostics.push(errorAt(local.attribute.range, 'Circular reference in locals', detail));
  done.set(name, UNKNOWN);
}

function collect(body: Body, diagnostics: Diagnostic[]): Map<string, Local> {
  const attributes = new Map<string, Attribute>();
  for (const block of blocksOf(body, 'locals')) {
    const [label] = block.labels;
    if (label) {
      const detail = 'No labels are expected for locals blocks.';
      diagnostics.push(errorAt(label.range, 'Extraneous label for locals', detail, block.headerRange));
    }
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
