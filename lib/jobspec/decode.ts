import type { Attribute, Block, Body, Diagnostic, SourceRange } from '../hcl/index.js';
import { errorAt } from '../hcl/index.js';
import { missingItemRange } from '../hcl/start-range.js';
import { nearest } from '../util/nearest.js';
import { decodeAttribute, decodeMapAttribute } from './decode-attribute.js';
import { decodeFree } from './decode-free.js';
import { expandDynamic, type ScopedItem } from './dynamic-blocks.js';
import type { Scope } from './interpolation.js';
import type { Places } from './places.js';
import type { Field, Raw, Struct } from './schema/field.js';

/** What decoding collects besides the job. */
export interface Decoding {
  readonly diagnostics: Diagnostic[];
  readonly places: Places;
}

type BlockField = Extract<Field, { form: 'block' }>;
type FreeField = Extract<Field, { form: 'free' }>;

/** One block by its schema: the object of the API with every key, null or zero where nothing is given. */
export function decodeBlock(struct: Struct, block: Block, scope: Scope, out: Decoding): Raw {
  const raw: Raw = {};
  out.places.set(raw, { range: block.headerRange, keys: new Map() });
  decodeLabels(struct, block, raw, out);
  const items = expandDynamic(block.body.items, scope, out.diagnostics);
  refuseUnknown(struct, items, out.diagnostics);
  for (const field of struct.fields) {
    switch (field.form) {
      case 'label':
        break;
      case 'attribute':
        raw[field.json] = decodeAttributeField(field, items, block.body, raw, out);
        break;
      case 'free':
        raw[field.json] = decodeFreeField(field, items, raw, out);
        break;
      case 'block':
        raw[field.json] = decodeBlockField(field, items, out);
        break;
    }
  }
  const complaint = struct.settle?.(raw);
  if (complaint !== undefined) {
    out.diagnostics.push(errorAt(block.headerRange, `Invalid ${struct.name} block`, `${sentence(complaint)}.`));
  }
  return raw;
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function decodeLabels(struct: Struct, block: Block, raw: Raw, { diagnostics, places }: Decoding): void {
  const wanted = struct.fields.filter((field) => field.form === 'label');
  const [field] = wanted;
  const [first] = block.labels;
  if (field && first) {
    raw[field.json] = first.value;
    places.get(raw)?.keys.set(field.json, first.range);
  } else if (field) {
    raw[field.json] = '';
    const detail = `All ${block.type} blocks must have one label (${field.hcl}).`;
    diagnostics.push(
      errorAt(block.openBraceRange, `Missing ${field.hcl} for ${block.type}`, detail, block.headerRange),
    );
  }
  const extra = block.labels[wanted.length];
  if (!extra) return;
  const detail = field
    ? `Only one label (${field.hcl}) is expected for ${block.type} blocks.`
    : `No labels are expected for ${block.type} blocks.`;
  diagnostics.push(errorAt(extra.range, `Extraneous label for ${block.type}`, detail, block.headerRange));
}

function refuseUnknown(struct: Struct, items: readonly ScopedItem[], diagnostics: Diagnostic[]): void {
  const attributes = struct.fields.flatMap((f) =>
    f.form === 'attribute' || (f.form === 'free' && f.equals) ? (f.hcl ?? []) : [],
  );
  const blocks = struct.fields.flatMap((f) => (f.form === 'block' || f.form === 'free' ? (f.hcl ?? []) : []));
  for (const { item } of items) {
    if (item.kind === 'attribute' && !attributes.includes(item.name)) {
      diagnostics.push(unknownAttribute(item, attributes, blocks));
    } else if (item.kind === 'block' && !blocks.includes(item.type)) {
      diagnostics.push(unknownBlock(item, attributes, blocks));
    }
  }
}

/** Says that an argument is unknown, and what may have been meant. */
export function unknownAttribute({ name, nameRange }: Attribute, attributes: string[], blocks: string[]): Diagnostic {
  let hint = '';
  if (blocks.includes(name)) hint = ` Did you mean to define a block of type "${name}"?`;
  else {
    const near = nearest(name, [...attributes, ...blocks]);
    if (near !== undefined) hint = ` Did you mean "${near}"?`;
  }
  const detail = `An argument named "${name}" is not expected here.${hint}`;
  return errorAt(nameRange, 'Unsupported argument', detail);
}

/** Says that a type of block is unknown, and what may have been meant. */
export function unknownBlock({ type, typeRange }: Block, attributes: string[], blocks: string[]): Diagnostic {
  let hint = '';
  if (attributes.includes(type)) {
    hint = ` Did you mean to define argument "${type}"? If so, use the equals sign to assign it a value.`;
  } else {
    const near = nearest(type, [...blocks, ...attributes]);
    if (near !== undefined) hint = ` Did you mean "${near}"?`;
  }
  return errorAt(typeRange, 'Unsupported block type', `Blocks of type "${type}" are not expected here.${hint}`);
}

function findAttribute(items: readonly ScopedItem[], name: string): { item: Attribute; scope: Scope } | undefined {
  for (const { item, scope } of items) if (item.kind === 'attribute' && item.name === name) return { item, scope };
  return undefined;
}

function findBlocks(items: readonly ScopedItem[], type: string): { item: Block; scope: Scope }[] {
  return items.flatMap(({ item, scope }) => (item.kind === 'block' && item.type === type ? [{ item, scope }] : []));
}

function decodeAttributeField(
  field: Extract<Field, { form: 'attribute' }>,
  items: readonly ScopedItem[],
  body: Body,
  raw: Raw,
  { diagnostics, places }: Decoding,
): unknown {
  if (field.hcl === null) return field.zero;
  const found = findAttribute(items, field.hcl);
  if (!found) {
    if (field.required) {
      const detail = `The argument "${field.hcl}" is required, but no definition was found.`;
      diagnostics.push(errorAt(missingItemRange(body), 'Missing required argument', detail));
    }
    return field.zero;
  }
  places.get(raw)?.keys.set(field.json, found.item.range);
  return decodeAttribute(field.type, field.zero, found.item.expression, found.scope, diagnostics, field);
}

function decodeFreeField(field: FreeField, items: readonly ScopedItem[], raw: Raw, out: Decoding): unknown {
  const attribute = field.equals ? findAttribute(items, field.hcl) : undefined;
  const blocks = findBlocks(items, field.hcl);
  const [block, another] = blocks;
  if (attribute) {
    out.places.get(raw)?.keys.set(field.json, attribute.item.range);
    if (block) out.diagnostics.push(duplicate(block, field.hcl, attribute.item.range));
    return decodeMapAttribute(attribute.item.expression, attribute.scope, out.diagnostics);
  }
  if (!block) return null;
  if (another) out.diagnostics.push(duplicate(another, field.hcl, block.item.headerRange));
  const [label] = block.item.labels;
  if (label) {
    const detail = `No labels are expected for ${field.hcl} blocks.`;
    out.diagnostics.push(errorAt(label.range, `Extraneous label for ${field.hcl}`, detail, block.item.headerRange));
  }
  out.places.get(raw)?.keys.set(field.json, block.item.headerRange);
  return decodeFree(field.of, block.item.body, block.scope, out);
}

function duplicate({ item }: { item: Block }, type: string, other: SourceRange): Diagnostic {
  const at = `${other.filename}:${other.start.line},${other.start.column}-${other.end.column}`;
  const detail = `Only one ${type} block is allowed. Another was defined at ${at}.`;
  return errorAt(item.headerRange, `Duplicate ${type} block`, detail);
}

/** Of blocks with one label the last counts, as in Nomad: worth a word. */
function outdone({ item }: { item: Block }, what: string, other: SourceRange): Diagnostic {
  const at = `${other.filename}:${other.start.line},${other.start.column}-${other.end.column}`;
  const detail = `There is another ${what} at ${at}, which has no effect: the last one counts.`;
  return { ...errorAt(item.headerRange, `Duplicate ${what} block`, detail), severity: 'warning' };
}

function decodeBlockField(field: BlockField, items: readonly ScopedItem[], out: Decoding): unknown {
  if (field.hcl === null) return null;
  const blocks = findBlocks(items, field.hcl);
  const [first, second] = blocks;
  if (!first) return null;
  if (field.arity === 'one') {
    if (second) out.diagnostics.push(duplicate(second, field.hcl, first.item.headerRange));
    return decodeBlock(field.struct, first.item, first.scope, out);
  }
  const decoded = blocks.map(({ item, scope }) => decodeBlock(field.struct, item, scope, out));
  if (field.arity === 'list') return decoded;
  const byLabel = new Map<string, Raw>();
  for (const [i, raw] of decoded.entries()) {
    const block = blocks[i] as { item: Block };
    const label = block.item.labels[0]?.value ?? '';
    const other = byLabel.get(label);
    const place = other && out.places.get(other);
    if (place) out.diagnostics.push(outdone(block, `${field.hcl} "${label}"`, place.range));
    byLabel.set(label, raw);
  }
  return Object.fromEntries(byLabel);
}
