import type { Timers } from '../timers.js';
import type { Answer, TemplateSource, Watched } from './source.js';

/** How often a file is looked at; network file systems tell nobody of changes. */
const POLL_MS = 2_000;

/** The `file` function: reads files, and looks at them from time to time. */
export function fileSource(read: (path: string) => Promise<string | null>, timers: Timers): TemplateSource {
  return { watch: (path, onChange) => new WatchedFile({ path, read, timers, onChange }) };
}

class WatchedFile implements Watched {
  answer: Answer;
  private readonly options: {
    path: string;
    read: (path: string) => Promise<string | null>;
    timers: Timers;
    onChange: () => void;
  };
  private cancel: () => void = () => {};
  private closed = false;

  constructor(options: WatchedFile['options']) {
    this.options = options;
    this.answer = { state: 'waiting', what: `file(${options.path})` };
    void this.look();
  }

  close(): void {
    this.closed = true;
    this.cancel();
  }

  private async look(): Promise<void> {
    const { path, read, timers, onChange } = this.options;
    const next = await read(path).then(
      (text): Answer => (text === null ? { state: 'waiting', what: `file(${path})` } : { state: 'known', value: text }),
      (error: unknown): Answer => ({ state: 'failed', reason: error instanceof Error ? error.message : String(error) }),
    );
    if (this.closed) return;
    const changed = tellOf(next) !== tellOf(this.answer);
    this.answer = next;
    this.cancel = timers.after(POLL_MS, () => void this.look());
    if (changed) onChange();
  }
}

/** What tells one answer from another. */
function tellOf(answer: Answer): string {
  if (answer.state === 'known') return `known ${String(answer.value)}`;
  return answer.state === 'failed' ? `failed ${answer.reason}` : 'waiting';
}
