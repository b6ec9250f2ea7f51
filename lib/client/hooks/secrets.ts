import type { Secret } from '../../structs/job.js';
import { secretReferences } from '../../structs/validate/secret-use.js';
import type { Variable } from '../../structs/variable.js';
import type { Millis } from '../../util/clock.js';
import { nearest } from '../../util/nearest.js';
import { interpolateText } from '../interpolate.js';
import { fetchFromPlugin, hideValues } from '../secrets/plugins.js';
import type { Answer, TemplateSource } from '../template/source.js';
import { sleep } from '../timers.js';
import { taskValues } from './env.js';
import { type HookContext, HookError, taskHook } from './hook.js';

const BUILT_IN = 'nomad';
/** So long nothing is said of a variable that is not there. */
const PATIENCE_MS: Millis = 1_000;

/**
 * The `secret` blocks of a task, before anything is interpolated: their texts stand for `${secret.NAME.KEY}` from here on.
 * A variable that is not there yet is waited for, as in templates. A running task keeps what it was started with.
 */
export const secretsHook = taskHook('secrets', {
  async prestart(context) {
    const secrets = context.task.Secrets ?? [];
    if (secrets.length === 0) return;
    if (context.reattach) {
      Object.assign(context.draft.secrets, context.state.get() as Record<string, string> | null);
      return;
    }
    // Variables first: what plugins are given may be one of them.
    for (const secret of secrets)
      if (secret.Provider === BUILT_IN) add(context, secret, await readVariable(context, secret));
    for (const secret of secrets)
      if (secret.Provider !== BUILT_IN) add(context, secret, await askPlugin(context, secret));
    tellOfAbsent(context);
    context.state.put({ ...context.draft.secrets });
  },
});

function add({ draft }: HookContext, { Name }: Secret, items: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(items)) draft.secrets[`secret.${Name}.${key}`] = value;
}

/** What stands for a key that is not there is left as it stands, as in Nomad: a password nobody would look for. */
function tellOfAbsent({ task, draft, control }: HookContext): void {
  const names = (task.Secrets ?? []).map(({ Name }) => Name);
  const given = Object.keys(draft.secrets);
  const used = secretReferences(task).filter(({ name }) => names.includes(name));
  for (const reference of new Set(used.map((use) => use.reference))) {
    if (given.includes(reference)) continue;
    const near = nearest(reference, given);
    control.tell(
      `There is no \${${reference}}: the words stay as they are${near ? `; did you mean \${${near}}?` : ''}`,
    );
  }
}

async function readVariable(context: HookContext, secret: Secret): Promise<Record<string, string>> {
  const { serverSources } = await import('../template/server-sources.js');
  const namespace = secret.Config?.['namespace'];
  const own = typeof namespace === 'string' && namespace !== '' ? namespace : context.alloc.Namespace;
  const { nomadVar } = serverSources(context, own);
  const watched = new Waited(nomadVar as TemplateSource, secret.Path, context.signal);
  void sleep(context.client.timers, PATIENCE_MS, watched.ending).then((whole) => {
    if (whole) context.control.tell(`Secret "${secret.Name}" is waiting for variable ${secret.Path}`);
  });
  const answer = await watched.answer;
  if (answer.state === 'known') return (answer.value as Variable).Items;
  throw new HookError(`secret "${secret.Name}": ${answer.reason}`, { recoverable: false });
}

type FirstAnswer = Exclude<Answer, { state: 'waiting' }>;

/** The first answer of a source that is one. */
class Waited {
  readonly answer: Promise<FirstAnswer>;
  private readonly end = new AbortController();

  constructor(source: TemplateSource, key: string, signal: AbortSignal) {
    this.answer = new Promise((done) => {
      const watched = source.watch(key, () => take(watched.answer));
      const take = (answer: Answer): void => {
        if (answer.state === 'waiting' || this.end.signal.aborted) return;
        this.end.abort();
        watched.close();
        signal.removeEventListener('abort', abort);
        done(answer);
      };
      const abort = (): void => take({ state: 'failed', reason: 'the task is to end' });
      signal.addEventListener('abort', abort);
      if (signal.aborted) abort();
    });
  }

  /** Aborted when there is an answer. */
  get ending(): AbortSignal {
    return this.end.signal;
  }
}

async function askPlugin(context: HookContext, secret: Secret): Promise<Record<string, string>> {
  const { config, alloc, job, signal } = context;
  const values = taskValues(context);
  const given = Object.entries(secret.Env ?? {}).map(([key, value]) => [key, interpolateText(value, values)] as const);
  const env = { ...Object.fromEntries(given), NOMAD_JOB_ID: job.ID, NOMAD_NAMESPACE: alloc.Namespace };
  const { Provider: plugin, Path: path } = secret;
  const fetched = await fetchFromPlugin(config.commonPluginDir, { plugin, path, env, signal });
  if (fetched.ok) return fetched.value;
  const why = hideValues(fetched.error, Object.values(context.draft.secrets));
  throw new HookError(`secret "${secret.Name}": ${why}`, { recoverable: true });
}
