import { networkInterfaces } from 'node:os';
import type { Template } from '../../structs/job.js';
import { interfaceAddresses } from '../../util/address-template.js';
import { type Millis, toMillis } from '../../util/clock.js';
import { randomInt } from '../../util/random.js';
import { ok } from '../../util/result.js';
import type { HookContext } from '../hooks/hook.js';
import { type Interpolation, interpolateText } from '../interpolate.js';
import { type InsidePath, isInside, writeInside } from '../sandbox.js';
import { sleep } from '../timers.js';
import { renderHeavy } from './heavy-render.js';
import { compileTemplate } from './render.js';
import { digestOf, type TaskTemplate, TemplateRunner } from './runner.js';
import type { TemplateSources } from './source.js';

/** A template block with where its text comes from and goes to. */
export interface PlacedTemplate {
  block: Template;
  source: string;
  destination: InsidePath;
}

/** Longer templates are parsed where nobody waits for it. */
const LIGHT_CHARS_MAX = 16 * 1024;

/** What a session keeps over restarts of the agent: digests of what it has written, by index. */
type Kept = Record<string, string>;

/** The templates of one task for as long as it lives, over its restarts. */
export class TemplateSession {
  readonly placed: readonly PlacedTemplate[];
  /** The texts of the templates that make variables, by index. */
  readonly envTexts = new Map<number, string>();
  /** The task has not been started with what was rendered here. */
  private fresh: boolean;
  private readonly context: HookContext;
  private readonly values: Interpolation;
  private readonly kept: Kept;
  private readonly runner: TemplateRunner;

  /** Throws an Error for a template that cannot be parsed. `reattach`: what is on disk is what the task runs with. */
  constructor(
    context: HookContext,
    options: { placed: readonly PlacedTemplate[]; values: Interpolation; sources: TemplateSources },
  ) {
    this.context = context;
    this.placed = options.placed;
    this.values = options.values;
    this.fresh = !context.reattach;
    this.kept = context.reattach ? { ...(context.state.get() as Kept | null) } : {};
    const written = new Map(Object.entries(this.kept).map(([index, digest]) => [Number(index), digest]));
    this.runner = new TemplateRunner({
      templates: options.placed.map(({ block, source }, i) => this.compile(block, source, i)),
      sources: options.sources,
      timers: context.client.timers,
      renderHeavy,
      written,
      events: {
        write: (template, text) => this.write(template, text),
        changed: (templates) => void this.act(templates.map(({ index }) => index)),
        failed: (reason) => void context.control.fail(`Template failed: ${reason}`),
        waiting: (missing) => context.control.tell(`Template is waiting for: ${missing.join(', ')}`, 'Template'),
      },
    });
    context.signal.addEventListener('abort', () => this.close(), { once: true });
    if (context.signal.aborted) this.close();
  }

  get isClosed(): boolean {
    return this.runner.isClosed;
  }

  /** Settles when all is rendered; rejects with the reason when it cannot be. */
  rendered(): Promise<void> {
    return this.runner.rendered();
  }

  close(): void {
    this.runner.close();
  }

  /** Whether all that was written is still there: secrets in memory go with the machine, and tasks remove files. */
  async isWhole(): Promise<boolean> {
    for (const index of Object.keys(this.kept)) {
      const placed = this.placed[Number(index)];
      if (placed && !(await isInside(placed.destination))) return false;
    }
    return true;
  }

  /** Runs the scripts that are to run after the first time too. */
  async runFirstScripts(): Promise<void> {
    if (!this.fresh) return;
    this.fresh = false;
    for (const { block } of this.placed)
      if (block.ChangeScript?.['RunOnFirstRender'] === true) await this.script(block);
  }

  private compile(block: Template, source: string, index: number): TaskTemplate {
    const { template } = this.context.config;
    const name = block.SourcePath === '' ? '(dynamic)' : block.SourcePath;
    const text = { text: source, name, left: block.LeftDelim, right: block.RightDelim };
    const parsed = source.length > LIGHT_CHARS_MAX ? ok(null) : compileTemplate(text);
    if (!parsed.ok) throw new Error(`${block.DestPath}: ${parsed.error}`);
    const asked = block.Wait ? waitOf(block.Wait) : template.wait;
    const context = {
      // As in Nomad: also `env "node.unique.name"`, and so `env "secret.NAME.KEY"`.
      env: { ...this.values.node, ...this.values.env },
      denied: template.functionDenylist,
      errMissingKey: block.ErrMissingKey,
      addresses: () => interfaceAddresses(networkInterfaces()),
    };
    const wait = within(asked, template.waitBounds);
    return { index, text, parsed: parsed.value, context, destination: block.DestPath, once: block.Once, wait };
  }

  private async write({ index }: TaskTemplate, text: string): Promise<void> {
    const placed = this.placed[index];
    if (!placed) return;
    const { block, destination } = placed;
    const mode = Number.parseInt(block.Perms || '0644', 8);
    await writeInside(destination, text, { mode, uid: block.Uid ?? null, gid: block.Gid ?? null });
    if (block.Envvars) this.envTexts.set(index, text);
    this.kept[String(index)] = digestOf(text);
    this.context.state.put({ ...this.kept });
  }

  /** After changes: the strongest thing that one of them asks for, a while later, lest all nodes do it at once. */
  private async act(indexes: readonly number[]): Promise<void> {
    const { control, client, signal, log } = this.context;
    const blocks = indexes
      .flatMap((index) => this.placed[index]?.block ?? [])
      .filter(({ ChangeMode }) => ChangeMode !== 'noop');
    if (blocks.length === 0) return;
    const splayMs = Math.max(...blocks.map(({ Splay }) => toMillis(Splay)));
    const delayMs: Millis = splayMs >= 1 ? randomInt(client.random, Math.floor(splayMs)) : 0;
    if (delayMs > 0 && !(await sleep(client.timers, delayMs, signal))) return;
    try {
      if (blocks.some(({ ChangeMode }) => ChangeMode === 'restart')) {
        await control.restart('Template with change_mode restart re-rendered');
        return;
      }
      const signals = new Set(blocks.flatMap((block) => (block.ChangeMode === 'signal' ? block.ChangeSignal : [])));
      for (const name of signals) await control.signal(name, 'Template re-rendered');
      for (const block of blocks) if (block.ChangeMode === 'script') await this.script(block);
    } catch (error) {
      log.warn('acting on a changed template failed', {
        error: error instanceof Error ? error.message : String(error),
      });
    }
  }

  private async script({ ChangeScript }: Template): Promise<void> {
    const { control } = this.context;
    const { Command, Args, Timeout, FailOnError } = ChangeScript as {
      Command: string;
      Args?: string[] | null;
      Timeout?: number;
      FailOnError?: boolean;
    };
    const command = [Command, ...(Args ?? [])].map((part) => interpolateText(part, this.values));
    const outcome = await control.exec(command, toMillis(Timeout ?? 5e9)).then(
      ({ exitCode, output }) =>
        exitCode === 0 ? null : [`exit code ${exitCode}`, output.trim().slice(-200)].filter(Boolean).join(': '),
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    if (outcome === null) control.tell(`Template ran script ${Command}`, 'Task hook message');
    else if (FailOnError) await control.fail(`Template failed to run script ${Command}: ${outcome}`);
    else control.tell(`Template failed to run script ${Command}: ${outcome}`, 'Task hook failed');
  }
}

function waitOf({ Min, Max }: NonNullable<Template['Wait']>): { minMs: Millis; maxMs: Millis } {
  return { minMs: toMillis(Min ?? 0), maxMs: toMillis(Max ?? 4 * (Min ?? 0)) };
}

function within(
  asked: { minMs: Millis; maxMs: Millis },
  bounds: { minMs: Millis; maxMs: Millis } | null,
): { minMs: Millis; maxMs: Millis } {
  if (!bounds) return asked;
  return { minMs: Math.max(asked.minMs, bounds.minMs), maxMs: Math.min(asked.maxMs, bounds.maxMs) };
}
