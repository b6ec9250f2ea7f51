// What a template reads besides its own text. Each kind of thing has a source that watches it; a template whose things
// are not all there yet waits.

/** The functions of templates that read something which may change. */
export type SourceKind = 'file' | 'nomadVar' | 'nomadVarList' | 'nomadVarListSafe' | 'nomadService' | 'nomadServices';

/** What a source knows of one thing now. */
export type Answer =
  /** Not there yet: whoever needs it waits. `what` names it in the task's events. */
  | { state: 'waiting'; what: string }
  | { state: 'known'; value: unknown }
  /** It cannot be had, and waiting does not help. */
  | { state: 'failed'; reason: string };

/** One thing that is watched. */
export interface Watched {
  readonly answer: Answer;
  close(): void;
}

/** Watches things of one kind, each named by a key; tells of every change, also of the first answer when it comes later. */
export interface TemplateSource {
  watch(key: string, onChange: () => void): Watched;
}

/** The sources there are on this node; a function without one is refused. */
export type TemplateSources = Readonly<Partial<Record<SourceKind, TemplateSource>>>;

/** What one render asks for: an answer of the named thing, now. */
export type Ask = (kind: SourceKind, key: string) => Answer;
