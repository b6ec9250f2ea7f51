import type { Shape } from './fields.js';
import type { Checked, CheckedValue } from './read.js';

/**
 * Puts a value over an earlier one of the same key. Later wins; blocks merge key by key, maps name by name, labelled
 * blocks label by label, and the lists of addresses to join grow.
 */
export function mergeInto(target: Checked, key: string, value: CheckedValue, shape: Shape): void {
  const before = target[key];
  target[key] = before === undefined ? value : mergeValue(before, value, shape);
}

function mergeValue(before: CheckedValue, value: CheckedValue, shape: Shape): CheckedValue {
  switch (shape.kind) {
    case 'strings':
      return shape.appends ? [...(before as string[]), ...(value as string[])] : value;
    case 'map':
    case 'object':
      return { ...(before as Checked), ...(value as Checked) };
    case 'block':
    case 'labelled':
      return mergeBlock(before as Checked, value as Checked, shape);
    default:
      return value;
  }
}

/** Two blocks of the same shape as one; neither is changed. */
export function mergeBlock(before: Checked, later: Checked, shape: Shape): Checked {
  const result: Checked = { ...before };
  for (const [key, value] of Object.entries(later)) {
    const inner: Shape | undefined =
      shape.kind === 'labelled'
        ? { kind: 'block', fields: shape.fields }
        : shape.kind === 'block'
          ? shape.fields[key]?.shape
          : undefined;
    if (inner) mergeInto(result, key, value, inner);
  }
  return result;
}
