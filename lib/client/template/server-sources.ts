import { hookState } from '../context.js';
import type { HookContext } from '../hooks/hook.js';
import { type KeptAnswers, type ServerSourceOptions, serverSource } from './server-source.js';
import type { TemplateSources } from './source.js';

/** What a task's templates may ask the servers: variables that it may see, and services of its namespace (or another). */
export function serverSources(context: HookContext, Namespace = context.alloc.Namespace): TemplateSources {
  const { client, alloc, task } = context;
  const { rpc, timers, random } = client;
  const own = () => {
    const { ID: NodeID, SecretID } = client.node();
    return { NodeID, SecretID, AllocID: alloc.ID, Task: task.Name, Namespace };
  };
  const kept = keptAnswers(context, Namespace);
  const source = (name: string, ask: ServerSourceOptions['ask']) => serverSource({ name, ask, kept, timers, random });
  const list: (isSafe: boolean) => ServerSourceOptions['ask'] = (isSafe) => async (Prefix, query, call) => {
    const reply = await rpc.call('Variables.ListForTask', { ...own(), ...query, Prefix }, call);
    return { index: reply.Index, value: isSafe && reply.Variables.length === 0 ? null : reply.Variables };
  };
  return {
    nomadVar: source('nomadVar', async (Path, query, call) => {
      const reply = await rpc.call('Variables.ReadForTask', { ...own(), ...query, Path }, call);
      return { index: reply.Index, value: reply.Variable };
    }),
    nomadVarList: source('nomadVarList', list(false)),
    nomadVarListSafe: source('nomadVarListSafe', list(true)),
    nomadService: source('nomadService', async (key, query, call) => {
      const { tag, ...asked } = serviceQuery(key);
      const args = { Namespace, ...query, ...asked };
      const reply = await rpc.call('ServiceRegistration.GetService', args, call);
      const found = reply.Services.filter(({ Tags }) => tag === '' || Tags?.includes(tag));
      return { index: reply.Index, value: found };
    }),
    nomadServices: source('nomadServices', async (_, query, call) => {
      const reply = await rpc.call('ServiceRegistration.List', { Namespace, ...query }, call);
      return { index: reply.Index, value: reply.Services.flatMap(({ Services }) => Services) };
    }),
  };
}

/** "[tag.]name", or "N|key|[tag.]name": at most N instances, chosen by the key. */
function serviceQuery(key: string): { ServiceName: string; Choose?: string; tag: string } {
  const parts = key.split('|');
  const name = parts.at(-1) ?? '';
  const dot = name.lastIndexOf('.');
  const [tag, ServiceName] = dot < 0 ? ['', name] : [name.slice(0, dot), name.slice(dot + 1)];
  return parts.length === 3 ? { ServiceName, tag, Choose: `${parts[0]}|${parts[1]}` } : { ServiceName, tag };
}

/** In the client's own memory, which nobody else reads. */
function keptAnswers({ client, alloc, task }: HookContext, namespace: string): KeptAnswers {
  const of = namespace === alloc.Namespace ? '' : `/${namespace}`;
  const state = hookState(client, alloc.ID, `${task.Name}/template-answers${of}`);
  const all = (): Record<string, unknown> => (state.get() ?? {}) as Record<string, unknown>;
  return {
    get: (key) => all()[key],
    put: (key, value) => state.put({ ...all(), [key]: value }),
  };
}
