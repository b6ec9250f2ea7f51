import { parentPort } from 'node:worker_threads';
import { tellStory } from './story.js';

export type Answer =
  | { readonly kind: 'told'; readonly seen: Record<string, number> }
  | { readonly kind: 'failed'; readonly seed: number; readonly report: string };

parentPort?.on('message', async (seed: number) => {
  let answer: Answer;
  try {
    const { seen, events } = await tellStory(seed);
    answer = { kind: 'told', seen: { ...seen, events } };
  } catch (error) {
    answer = { kind: 'failed', seed, report: (error as Error).stack ?? String(error) };
  }
  parentPort?.postMessage(answer);
});
