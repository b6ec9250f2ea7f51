import { createHash } from 'node:crypto';
import type { ParsedTemplate } from '../../template/index.js';
import type { Millis } from '../../util/clock.js';
import type { Timers } from '../timers.js';
import { answerKey, type HeavyOutcome, type RenderHeavy } from './heavy-render.js';
import { type RenderContext, type Rendered, renderLight, type TemplateText } from './render.js';
import type { Answer, Ask, SourceKind, TemplateSources, Watched } from './source.js';

/** One template block of a task, ready to be rendered. */
export interface TaskTemplate {
  /** Where in the task it stands, from 0. */
  index: number;
  text: TemplateText;
  /** Null: it is too long to be parsed where others wait for it. */
  parsed: ParsedTemplate | null;
  context: Omit<RenderContext, 'nowMs'>;
  /** The block's `destination`: which of them it is, in messages. */
  destination: string;
  once: boolean;
  /** A change is held back until nothing has changed for `minMs`, and `maxMs` at most. */
  wait: { minMs: Millis; maxMs: Millis };
}

/** A change that is held back until nothing has changed for a while. */
interface Held {
  digest: string;
  /** When the first of the changes that are held came. */
  sinceMs: Millis;
  dueMs: Millis;
  cancel: () => void;
}

/** What the runner tells. */
export interface TemplateEvents {
  /** A text that differs from the one before is to be written; a failure ends the runner. */
  write(template: TaskTemplate, text: string): Promise<void>;
  /** After the first time: these have been written anew. */
  changed(templates: TaskTemplate[]): void;
  /** After the first time: a template cannot be rendered any more. */
  failed(reason: string): void;
  /** What is waited for, once it takes a while. */
  waiting(missing: string[]): void;
}

export interface TemplateRunnerOptions {
  templates: readonly TaskTemplate[];
  sources: TemplateSources;
  timers: Timers;
  renderHeavy: RenderHeavy;
  events: TemplateEvents;
  /** Digests of texts that are on disk already, by index: of a task that runs. */
  written: ReadonlyMap<number, string>;
}

/** What tells one text from another without being kept. */
export function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}

/** The agent does nothing else while it renders: what takes longer is rendered in a thread of its own. */
const LIGHT_MAX_MS: Millis = 100;
/** A template that takes longer has lost its way. */
const RENDER_MAX_MS: Millis = 30_000;
/** Each thing that is read is watched. */
const WATCHED_MAX = 2_000;
/** What is waited for is told after this time: most things are there at once. */
const PATIENCE_MS: Millis = 3_000;
/** Templates that changed together are written together, so that their task is told once. */
const TOGETHER_MS: Millis = 100;

/**
 * Keeps the templates of a task rendered. It reads what they ask for, waits for what is missing, and renders again when
 * something changes.
 */
export class TemplateRunner {
  private readonly options: TemplateRunnerOptions;
  private readonly watched = new Map<string, Watched>();
  /** Digests of what is written, by index. */
  private readonly digests: Map<number, string>;
  private readonly done = new Set<number>();
  /** Since when a change is held back, by index. */
  private readonly held = new Map<number, Held>();
  private readonly due = new Set<number>();
  private cancelPatience: () => void = () => {};
  private running: Promise<void> | null = null;
  private again = false;
  private ready = false;
  private closed = false;
  private settle: { resolve: () => void; reject: (error: Error) => void } | null = null;
  private readonly first: Promise<void>;

  constructor(options: TemplateRunnerOptions) {
    this.options = options;
    this.digests = new Map(options.written);
    this.first = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
    // Whoever waits hears of a failure; nobody has to.
    this.first.catch(() => {});
    this.pass();
  }

  get isClosed(): boolean {
    return this.closed;
  }

  /** Settles when every template has been rendered once; rejects when one cannot be, or the runner is closed before. */
  rendered(): Promise<void> {
    return this.first;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.cancelPatience();
    for (const { cancel } of this.held.values()) cancel();
    for (const one of this.watched.values()) one.close();
    this.watched.clear();
    this.settle?.reject(new Error('the templates are not waited for any more'));
  }

  /** Looks at all templates, one pass after the other. */
  private pass(): void {
    this.again = true;
    if (this.running || this.closed) return;
    this.running = this.work().catch((error: unknown) => {
      this.fail(error instanceof Error ? error.message : String(error));
    });
  }

  private async work(): Promise<void> {
    // What changes within the same turn is looked at once.
    await null;
    while (this.again && !this.closed) {
      this.again = false;
      await this.renderAll();
    }
    this.running = null;
  }

  private async renderAll(): Promise<void> {
    const { templates, events, timers } = this.options;
    const used = new Set<string>();
    const missing = new Set<string>();
    const changed: TaskTemplate[] = [];
    for (const template of templates) {
      if (this.done.has(template.index)) continue;
      const nowMs = timers.now();
      const result = await this.render(template, nowMs, used);
      if (this.closed) return;
      if (result.kind === 'failed') {
        this.fail(`${template.destination}: ${result.reason}`);
        return;
      }
      if (result.kind === 'waiting') {
        for (const what of result.missing) missing.add(what);
        continue;
      }
      const digest = digestOf(result.text);
      if (!this.mayWrite(template, digest, nowMs)) continue;
      await events.write(template, result.text);
      if (this.closed) return;
      this.digests.set(template.index, digest);
      changed.push(template);
    }
    if (missing.size === 0) this.forget(used);
    this.follow(changed, [...missing]);
  }

  private async render(template: TaskTemplate, nowMs: Millis, used: Set<string>): Promise<Rendered> {
    const { timers } = this.options;
    const isOverdue = (): boolean => timers.now() - nowMs > LIGHT_MAX_MS;
    const ask: Ask = (kind, key) => this.ask(kind, key, used);
    const context = { ...template.context, nowMs, isOverdue };
    const rendered = template.parsed && renderLight(template.parsed, context, ask);
    return !rendered || rendered === 'heavy' ? await this.heavy(template, nowMs, ask) : rendered;
  }

  /** Renders in the thread, with more answers each time, until it has asked for nothing new that is known. */
  private async heavy({ text, context }: TaskTemplate, nowMs: Millis, ask: Ask): Promise<Rendered> {
    const answers = new Map<string, Answer>();
    const { env, denied, errMissingKey, addresses } = context;
    for (;;) {
      const outcome: HeavyOutcome = await this.options.renderHeavy({
        template: text,
        context: { env, denied, errMissingKey, nowMs, addresses: addresses() },
        answers,
        maxMs: RENDER_MAX_MS,
      });
      if (this.closed) return outcome.rendered;
      const missing: string[] = [];
      let more = false;
      for (const { kind, key } of outcome.asked) {
        const id = answerKey(kind, key);
        const answer = ask(kind, key);
        if (answer.state === 'waiting') missing.push(answer.what);
        else if (!answers.has(id)) more = true;
        answers.set(id, answer);
      }
      if (more) continue;
      return missing.length > 0 ? { kind: 'waiting', missing } : outcome.rendered;
    }
  }

  private follow(changed: TaskTemplate[], missing: string[]): void {
    const { templates, events, timers } = this.options;
    this.cancelPatience();
    if (missing.length > 0) this.cancelPatience = timers.after(PATIENCE_MS, () => events.waiting(missing));
    if (this.ready) {
      if (changed.length > 0) events.changed(changed);
      return;
    }
    if (missing.length > 0) return;
    this.ready = true;
    for (const { once, index } of templates) if (once) this.done.add(index);
    if (this.done.size === templates.length) this.forget(new Set());
    // Of a task that ran before, what is written anew now is a change like any other.
    const before = changed.filter(({ index }) => this.options.written.has(index));
    this.settle?.resolve();
    if (before.length > 0) events.changed(before);
  }

  /** Whether a text is to be written now: not when it is the same, and changes after the first are held back a while. */
  private mayWrite({ index, wait }: TaskTemplate, digest: string, nowMs: Millis): boolean {
    const before = this.digests.get(index);
    const held = this.held.get(index);
    if (before === digest) {
      held?.cancel();
      this.held.delete(index);
      this.due.delete(index);
      return false;
    }
    if (before === undefined || wait.minMs <= 0 || this.due.delete(index)) return true;
    // Looked at again because of another template: its own time runs on.
    if (held?.digest === digest) return false;
    held?.cancel();
    const sinceMs = held?.sinceMs ?? nowMs;
    const delayMs = Math.min(wait.minMs, Math.max(0, sinceMs + wait.maxMs - nowMs));
    const dueMs = nowMs + delayMs;
    const cancel = this.options.timers.after(delayMs, () => this.release(dueMs));
    this.held.set(index, { digest, sinceMs, dueMs, cancel });
    return false;
  }

  /** What was held back until now may be written. */
  private release(nowMs: Millis): void {
    for (const [index, { dueMs, cancel }] of this.held) {
      if (dueMs > nowMs + TOGETHER_MS) continue;
      cancel();
      this.held.delete(index);
      this.due.add(index);
    }
    this.pass();
  }

  private ask(kind: SourceKind, key: string, used: Set<string>): Answer {
    const source = this.options.sources[kind];
    if (!source) return { state: 'failed', reason: `${kind} is not supported here` };
    const id = answerKey(kind, key);
    used.add(id);
    const known = this.watched.get(id);
    if (known) return known.answer;
    if (this.watched.size >= WATCHED_MAX)
      return { state: 'failed', reason: `the templates of a task may read ${WATCHED_MAX} things` };
    const one = source.watch(key, () => this.pass());
    this.watched.set(id, one);
    return one.answer;
  }

  /** What no template reads any more is not watched any more. */
  private forget(used: ReadonlySet<string>): void {
    for (const [id, one] of this.watched) {
      if (used.has(id)) continue;
      one.close();
      this.watched.delete(id);
    }
  }

  private fail(reason: string): void {
    if (this.closed) return;
    const { ready } = this;
    this.settle?.reject(new Error(reason));
    this.settle = null;
    this.close();
    if (ready) this.options.events.failed(reason);
  }
}
