// The thread of `heavy-render.ts`: one message is one render, and is answered by one.
import { parentPort } from 'node:worker_threads';
import { answerKey, type HeavyOutcome, type HeavyTask } from './heavy-render.js';
import { compileTemplate, type Rendered, renderTask } from './render.js';
import type { Ask } from './source.js';

function render({ template, context, answers, maxMs }: HeavyTask): HeavyOutcome {
  const asked = new Map<string, HeavyOutcome['asked'][number]>();
  const ask: Ask = (kind, key) => {
    const id = answerKey(kind, key);
    asked.set(id, { kind, key });
    return answers.get(id) ?? { state: 'waiting', what: `${kind}(${key})` };
  };
  const parsed = compileTemplate(template);
  if (!parsed.ok) return { rendered: { kind: 'failed', reason: parsed.error }, asked: [] };
  const endMs = performance.now() + maxMs;
  const isOverdue = (): boolean => performance.now() > endMs;
  const { addresses } = context;
  const rendered: Rendered = renderTask(parsed.value, { ...context, isOverdue, addresses: () => addresses }, ask);
  return { rendered, asked: [...asked.values()] };
}

parentPort?.on('message', (task: HeavyTask) => parentPort?.postMessage(render(task)));
