import { nearest } from '../../util/nearest.js';
import type { Task } from '../job.js';
import type { Report } from './issue.js';

const REFERENCE = /\$\{\s*(secret\.([A-Za-z0-9_]+)(?:\.[\w.-]+)?)\s*\}/g;
/** A job is not as deep as this. */
const DEPTH_MAX = 50;

/** Warns of `${secret.NAME.KEY}` where no `secret` block of the task has that name: the task would be given the words themselves. */
export function warnOfSecretUse(task: Task, report: Report): void {
  const names = (task.Secrets ?? []).map(({ Name }) => Name);
  const warned = new Set<string>();
  for (const { reference, name, key } of secretReferences(task)) {
    if (names.includes(name) || warned.has(name)) continue;
    warned.add(name);
    const near = nearest(name, names);
    const hint = near ? `; did you mean ${JSON.stringify(near)}?` : '';
    report.warning(
      key,
      `Task ${JSON.stringify(task.Name)} uses \${${reference}}, and has no secret block ${JSON.stringify(name)}: the words stay as they are${hint}`,
    );
  }
}

/** `${secret.NAME.KEY}` wherever a task is given what it stands for; `key` is the part of the task. */
export function secretReferences(task: Task): { reference: string; name: string; key: string }[] {
  const found: { reference: string; name: string; key: string }[] = [];
  const look = (text: string, key: string): void => {
    for (const [, reference = '', name = ''] of text.matchAll(REFERENCE)) found.push({ reference, name, key });
  };
  walk(task.Config, (text) => look(text, 'Config'), 0);
  walk(task.Env, (text) => look(text, 'Env'), 0);
  walk(task.Artifacts, (text) => look(text, 'Artifacts'), 0);
  for (const { DestPath, SourcePath } of task.Templates ?? [])
    for (const path of [DestPath, SourcePath]) look(path, 'Templates');
  return found;
}

function walk(value: unknown, look: (text: string) => void, depth: number): void {
  if (typeof value === 'string') look(value);
  if (typeof value !== 'object' || value === null || depth > DEPTH_MAX) return;
  for (const [key, item] of Object.entries(value)) {
    look(key);
    walk(item, look, depth + 1);
  }
}
