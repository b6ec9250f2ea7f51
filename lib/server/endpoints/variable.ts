import type { StateSnapshot } from '../../state/store.js';
import { watchKeys } from '../../state/watch.js';
import type { Allocation } from '../../structs/allocation.js';
import { MeshError } from '../../structs/errors.js';
import { groupOf } from '../../structs/group-of.js';
import type { TaskGroup } from '../../structs/job.js';
import type { SealedVariable, VariableMetadata } from '../../structs/variable.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { toNanos } from '../../util/clock.js';
import { answerQuery } from '../blocking.js';
import { openVariable, sealVariable } from '../keyring/variables.js';
import { page, pageOptions } from '../page.js';
import { propose } from '../propose.js';
import { variableMetadata } from '../stubs.js';
import { type EndpointContext, listOptions, namespaceOf, requireText } from './context.js';
import { requireOwnAlloc } from './own-alloc.js';

/** Texts under paths, encrypted in the state: for people, and for the tasks that may see them. */
export function variableEndpoints(context: EndpointContext): RpcHandlers {
  const { keyring, store, consensus, now } = context;

  const open = async (row: SealedVariable | undefined) =>
    row ? await openVariable(keyring, store.snapshot(), row) : null;

  return {
    async 'Variables.List'(args, call) {
      const options = pageOptions(args);
      return answerQuery(context, args, call, [watchKeys.variables()], async (state) => {
        const rows = state.variables(listOptions(args));
        const { items, nextToken } = await page(context.turns, rows, {
          ...options,
          ...BY_PATH,
          show: variableMetadata,
        });
        const more = nextToken === '' ? {} : { NextToken: nextToken };
        return { index: state.tableIndex('variables'), reply: { Variables: items, ...more } };
      });
    },

    async 'Variables.Read'(args, call) {
      const path = requireText(args.Path, 'variable path');
      const { row, ...answer } = await answerQuery(context, args, call, watch(args, path), readRow(args, path));
      return { ...answer, Variable: await open(row) };
    },

    async 'Variables.Put'(args) {
      const namespace = namespaceOf(args);
      const path = requireText(args.Path, 'variable path');
      await context.ensureKey();
      const { keyId, data } = await sealVariable(keyring, store.snapshot(), { namespace, path, items: args.Items });
      const cas = args.CAS === undefined ? {} : { cas: args.CAS };
      const time = toNanos(now());
      const { index, value } = await propose(consensus, {
        type: 'variable-put',
        namespace,
        path,
        keyId,
        data,
        time,
        ...cas,
      });
      return { Index: index, Variable: value.stored, Conflict: conflict(value, { namespace, path }) };
    },

    async 'Variables.Delete'(args) {
      const namespace = namespaceOf(args);
      const path = requireText(args.Path, 'variable path');
      const cas = args.CAS === undefined ? {} : { cas: args.CAS };
      const { index, value } = await propose(consensus, { type: 'variable-delete', namespace, path, ...cas });
      const stored = value.refused ? null : variableMetadata({ Namespace: namespace, Path: path } as VariableMetadata);
      return { Index: index, Conflict: conflict({ stored, conflict: value.conflict }, { namespace, path }) };
    },

    async 'Variables.ReadForTask'(args, call) {
      const path = requireText(args.Path, 'variable path');
      const alloc = await requireOwnAlloc(context, args);
      const own = { ...args, Namespace: requireVisible(alloc, args, path) };
      const { row, ...answer } = await answerQuery(context, own, call, watch(own, path), readRow(own, path));
      return { ...answer, Variable: await open(row) };
    },

    async 'Variables.ListForTask'(args, call) {
      const alloc = await requireOwnAlloc(context, args);
      const isVisible = ({ Path }: SealedVariable): boolean => isVisibleTo(alloc, args.Task, Path);
      return answerQuery(context, args, call, [watchKeys.variables()], async (state) => {
        const rows = [...state.variables({ namespace: alloc.Namespace, prefix: args.Prefix })].filter(isVisible);
        return { index: state.tableIndex('variables'), reply: { Variables: rows.map(variableMetadata) } };
      });
    },
  };
}

const BY_PATH = {
  token: ({ Path }: VariableMetadata): string => Path,
  compare: (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0),
};

const watch = (args: { Namespace?: string }, path: string) => [watchKeys.variable(namespaceOf(args), path)];

const readRow = (args: { Namespace?: string }, path: string) => (state: StateSnapshot) => {
  const row = state.variableByPath(namespaceOf(args), path);
  return { index: row?.ModifyIndex ?? state.tableIndex('variables'), reply: { row } };
};

/** What stands in the way of a check-and-set; one that is not there is told with an index of 0. */
function conflict(
  value: { stored: VariableMetadata | null; conflict: VariableMetadata | null },
  { namespace, path }: { namespace: string; path: string },
): VariableMetadata | null {
  if (value.stored) return null;
  const none = { Namespace: namespace, Path: path, CreateIndex: 0, ModifyIndex: 0, CreateTime: 0, ModifyTime: 0 };
  return value.conflict ?? none;
}

/** The namespace of a variable that the task may read. */
function requireVisible(alloc: Allocation, args: { Task: string; Namespace?: string }, path: string): string {
  const { Task: task, Namespace: namespace = alloc.Namespace } = args;
  if (isNamedBySecret(alloc, task, { path, namespace })) return namespace;
  if (namespace === alloc.Namespace && isVisibleTo(alloc, task, path)) return namespace;
  throw new MeshError(
    'E_PERMISSION_DENIED',
    `task "${task}" may not read variable ${JSON.stringify(path)}: put it at nomad/jobs/${alloc.JobID} or below, or write the path out in a template or a secret block of the job`,
  );
}

/** A `secret` block of the task names it: what is written there was wanted there, as with templates. */
function isNamedBySecret(
  alloc: Allocation,
  task: string,
  { path, namespace }: { path: string; namespace: string },
): boolean {
  const group = groupOf(alloc.Job, alloc.TaskGroup);
  const secrets = group?.Tasks.find(({ Name }) => Name === task)?.Secrets ?? [];
  return secrets.some(
    ({ Provider, Path, Config }) =>
      Provider === 'nomad' && Path === path && (Config?.['namespace'] || alloc.Namespace) === namespace,
  );
}

/**
 * A task sees what lies at `nomad/jobs` and at the paths of its job, its group and itself below that (Nomad's workload
 * identity), and whatever path one of its job's templates names: who submitted the job wanted it there, and a machine that
 * was taken over learns nothing but what was meant for it.
 */
function isVisibleTo(alloc: Allocation, task: string, path: string): boolean {
  const ofJob = `nomad/jobs/${alloc.JobID}`;
  const own = ['nomad/jobs', ofJob, `${ofJob}/${alloc.TaskGroup}`, `${ofJob}/${alloc.TaskGroup}/${task}`];
  if (own.includes(path)) return true;
  const group: TaskGroup | undefined = groupOf(alloc.Job, alloc.TaskGroup);
  const templates = group?.Tasks.flatMap((one) => one.Templates ?? []) ?? [];
  return templates.some(
    ({ EmbeddedTmpl }) => EmbeddedTmpl.includes(`"${path}"`) || EmbeddedTmpl.includes(`\`${path}\``),
  );
}
