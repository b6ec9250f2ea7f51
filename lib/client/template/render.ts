import type { Variable } from '../../structs/variable.js';
import {
  execTemplate,
  HeavyTemplate,
  NO_VALUE,
  type ParsedTemplate,
  parseTemplate,
  quote,
  TemplateError,
} from '../../template/index.js';
import type { InterfaceAddress } from '../../util/address-template.js';
import { assert } from '../../util/assert.js';
import { err, ok, type Result } from '../../util/result.js';
import { templateFunctions } from './functions/index.js';
import type { Answer, Ask, SourceKind } from './source.js';

/** What a template is rendered with. */
export interface RenderContext {
  env: Readonly<Record<string, string>>;
  nowMs: number;
  /** Functions that this node does not allow. */
  denied: readonly string[];
  /** A key that a map lacks is an error. */
  errMissingKey: boolean;
  /** Whether the render has taken too long. */
  isOverdue?: () => boolean;
  /** The addresses of this machine now, for `sockaddr`. */
  addresses: () => InterfaceAddress[];
}

/** What came of a render. */
export type Rendered =
  | { kind: 'text'; text: string }
  /** Something that it reads is not there yet, in words. */
  | { kind: 'waiting'; missing: string[] }
  | { kind: 'failed'; reason: string };

/** The text of a template, and how it is read. */
export interface TemplateText {
  text: string;
  /** As errors name it. */
  name: string;
  left: string;
  right: string;
}

/** Names that templates may call, to refuse others before anything is waited for. */
const NAMES = Object.keys(
  templateFunctions({
    env: {},
    nowMs: 0,
    denied: [],
    ask: () => ({ state: 'waiting', what: '' }),
    addresses: () => [],
    execute: () => '',
  }),
);

/** Parses a template of a task; the error says name, line and what is wrong. */
export function compileTemplate({ text, name, left, right }: TemplateText): Result<ParsedTemplate, string> {
  try {
    const delimiters = { left: left || '{{', right: right || '}}' };
    return ok(parseTemplate(text, { name, delimiters, functions: NAMES }));
  } catch (error) {
    if (error instanceof TemplateError) return err(error.message);
    throw error;
  }
}

/**
 * Renders a template with what its sources know now. What it reads depends on what it has read: so everything that it
 * asks for is told to `ask`, also when the text cannot be used yet.
 */
export function renderTask(template: ParsedTemplate, context: RenderContext, ask: Ask): Rendered {
  const rendered = render(template, context, ask, false);
  assert(rendered !== 'heavy', 'only a light render gives up');
  return rendered;
}

/** As `renderTask`, but it gives up with 'heavy' as soon as it turns out to be more than a moment's work. */
export function renderLight(template: ParsedTemplate, context: RenderContext, ask: Ask): Rendered | 'heavy' {
  return render(template, context, ask, true);
}

function render(template: ParsedTemplate, context: RenderContext, ask: Ask, light: boolean): Rendered | 'heavy' {
  const missing = new Set<string>();
  const secrets = new Set<string>();
  const asked = (kind: SourceKind, key: string): Answer => {
    const answer = ask(kind, key);
    if (answer.state === 'waiting') missing.add(answer.what);
    else if (answer.state === 'known' && kind === 'nomadVar')
      for (const text of itemsOf(answer.value)) secrets.add(text);
    return answer;
  };
  try {
    const text = execTemplate(template, {
      // Templates of tasks have no data of their own, only functions.
      data: NO_VALUE,
      functions: (execute) => templateFunctions({ ...context, ask: asked, execute }),
      ...(context.isOverdue && { isOverdue: context.isOverdue }),
      missing: context.errMissingKey ? 'error' : 'no value',
      light,
    });
    return missing.size > 0 ? { kind: 'waiting', missing: [...missing] } : { kind: 'text', text };
  } catch (error) {
    if (error instanceof HeavyTemplate) return 'heavy';
    if (!(error instanceof TemplateError)) throw error;
    // What failed may well have done so for want of what is waited for.
    return missing.size > 0
      ? { kind: 'waiting', missing: [...missing] }
      : { kind: 'failed', reason: redacted(error.message, secrets) };
  }
}

/** Shorter texts are parts of other words, and no secrets. */
const SECRET_CHARS_MIN = 3;

function itemsOf(variable: unknown): string[] {
  return Object.values((variable as Variable | null)?.Items ?? {});
}

/** An error without the items of variables: it is shown to whoever may see the task, who may not see those. */
function redacted(message: string, secrets: ReadonlySet<string>): string {
  return [...secrets]
    .flatMap((text) => [text, quote(text).slice(1, -1)])
    .filter((text) => text.length >= SECRET_CHARS_MIN)
    .sort((a, b) => b.length - a.length)
    .reduce((shown, text) => shown.replaceAll(text, '[redacted]'), message);
}
