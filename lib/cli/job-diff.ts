import type { DiffType, FieldDiff, JobDiff, ObjectDiff, TaskDiff, TaskGroupDiff } from '../structs/job-diff.js';
import { paint, type Style } from './format.js';

/** `verbose` shows the inside of what was added or deleted as a whole. */
export interface DiffOptions {
  readonly verbose: boolean;
  readonly color: boolean;
}

const SIGNS: Record<DiffType, { text: string; style: Style } | null> = {
  Added: { text: '+', style: 'green' },
  Deleted: { text: '-', style: 'red' },
  Edited: { text: '+/-', style: 'lightYellow' },
  None: null,
};

const UPDATE_STYLES: Record<string, Style> = {
  create: 'green',
  destroy: 'red',
  migrate: 'blue',
  canary: 'lightYellow',
  'in-place update': 'cyan',
  'create/destroy update': 'yellow',
};

/** What changes in a job, laid out as Nomad does: a sign, then names and values in columns. */
export function jobDiffText(diff: JobDiff, options: DiffOptions): string {
  const { color, verbose } = options;
  const head = `${sign(diff.Type, color)}${paint(color, 'bold', `Job: ${JSON.stringify(diff.ID)}`)}`;
  const groups = diff.TaskGroups ?? [];
  const widths = widthsOf(diff, groups);
  const own = diff.Type === 'Edited' || verbose ? inside(diff, 0, widths, options) : [];
  const rest = groups.flatMap((group, i) => {
    const lines = groupLines(group, widths.sign - signWidth(group.Type), options);
    return i === groups.length - 1 ? lines : [...lines, ''];
  });
  return [head, ...own, ...rest].join('\n');
}

function groupLines(group: TaskGroupDiff, indent: number, options: DiffOptions): string[] {
  const { color, verbose } = options;
  const updates = Object.entries(group.Updates ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, count]) => coloured(color, UPDATE_STYLES[kind], `${count} ${kind}`));
  const title = paint(color, 'bold', `Task Group: ${JSON.stringify(group.Name)}`);
  const head = `${sign(group.Type, color)}${' '.repeat(indent)}${title}${updates.length > 0 ? ` (${updates.join(', ')})` : ''}`;
  const tasks = group.Tasks ?? [];
  const widths = widthsOf(group, tasks);
  const own = group.Type === 'Edited' || verbose ? inside(group, indent + 2, widths, options) : [];
  return [head, ...own, ...tasks.flatMap((task) => taskLines(task, indent + 2, widths.sign, options))];
}

function taskLines(task: TaskDiff, indent: number, signColumn: number, options: DiffOptions): string[] {
  const { color, verbose } = options;
  const gap = ' '.repeat(signColumn - signWidth(task.Type));
  const title = paint(color, 'bold', `Task: ${JSON.stringify(task.Name)}`);
  const head = `${' '.repeat(indent)}${sign(task.Type, color)}${gap}${title}${annotations(task.Annotations, color)}`;
  if (task.Type === 'None' || (task.Type !== 'Edited' && !verbose)) return [head];
  return [head, ...inside(task, indent + 2, widthsOf(task, []), options)];
}

interface Parts {
  Fields: FieldDiff[] | null;
  Objects: ObjectDiff[] | null;
}

interface Widths {
  name: number;
  sign: number;
}

/** The widest name of a field, and the widest sign among the fields, objects and what else stands below. */
function widthsOf({ Fields, Objects }: Parts, below: readonly { Type: DiffType }[]): Widths {
  const signed = [...(Fields ?? []), ...(Objects ?? []), ...below];
  return {
    name: Math.max(0, ...(Fields ?? []).map(({ Name }) => Name.length)),
    sign: Math.max(0, ...signed.map(({ Type }) => signWidth(Type))),
  };
}

function inside({ Fields, Objects }: Parts, indent: number, widths: Widths, options: DiffOptions): string[] {
  return [
    ...(Fields ?? []).map((field) => fieldLine(field, indent, widths, options)),
    ...(Objects ?? []).flatMap((object) => objectLines(object, indent, widths, options)),
  ];
}

function fieldLine(field: FieldDiff, indent: number, widths: Widths, { color }: DiffOptions): string {
  const { Type, Name, Annotations } = field;
  const gap = ' '.repeat(widths.sign - signWidth(Type));
  const toValue = ' '.repeat(widths.name - Name.length);
  const start = `${' '.repeat(indent)}${sign(Type, color)}${gap}${Name}: ${toValue}`;
  return `${start}${valueText(field)}${annotations(Annotations, color)}`;
}

function valueText({ Type, Old, New }: FieldDiff): string {
  if (Type === 'Deleted') return JSON.stringify(Old);
  return Type === 'Edited' ? `${JSON.stringify(Old)} => ${JSON.stringify(New)}` : JSON.stringify(New);
}

function objectLines(object: ObjectDiff, indent: number, { sign: column }: Widths, options: DiffOptions): string[] {
  const width = signWidth(object.Type);
  const gap = ' '.repeat(column - width);
  const body = inside(object, indent + gap.length + 2, widthsOf(object, []), options);
  return [
    `${' '.repeat(indent)}${sign(object.Type, options.color)}${gap}${object.Name} {`,
    ...body,
    `${' '.repeat(indent + width + gap.length)}}`,
  ];
}

function annotations(texts: readonly string[] | null, color: boolean): string {
  if (!texts || texts.length === 0) return '';
  return ` (${texts.map((text) => coloured(color, UPDATE_STYLES[text.replace(/^forces /, '')], text)).join(', ')})`;
}

function sign(type: DiffType, color: boolean): string {
  const shown = SIGNS[type];
  return shown ? `${paint(color, shown.style, shown.text)} ` : '';
}

function signWidth(type: DiffType): number {
  const shown = SIGNS[type];
  return shown ? shown.text.length + 1 : 0;
}

function coloured(color: boolean, style: Style | undefined, text: string): string {
  return style ? paint(color, style, text) : text;
}
