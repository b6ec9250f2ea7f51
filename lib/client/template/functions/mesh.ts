import type { ServiceListStub, ServiceRegistration } from '../../../structs/service.js';
import { type Variable, type VariableMetadata, variablePathProblem } from '../../../structs/variable.js';
import {
  compareText,
  fn,
  quote,
  Struct,
  type TemplateFunction,
  TextList,
  TextStruct,
  TypedMap,
  type Value,
} from '../../../template/index.js';
import type { Answer, Ask } from '../source.js';
import { intOf, listOf, textOf } from './arguments.js';

/** Consul Template's functions over Nomad's variables and services. */
export function meshFunctions(
  ask: Ask,
  known: (answer: Answer, other: Value) => Value,
): Record<string, TemplateFunction> {
  const variables = (kind: 'nomadVarList' | 'nomadVarListSafe', prefix: Value): VariableMetadata[] =>
    known(ask(kind, prefix === undefined ? '' : textOf(prefix)), []) as VariableMetadata[];
  return {
    nomadVar: fn(1, (path) => {
      const clean = pathOf(path);
      if (clean === '') return itemsOf(null);
      refuse('nomadVar', variablePathProblem(clean));
      return itemsOf(known(ask('nomadVar', clean), null) as Variable | null);
    }),
    nomadVarExists: fn(1, (path) => {
      const clean = pathOf(path);
      return clean !== '' && variables('nomadVarList', clean).some(({ Path }) => Path === clean);
    }),
    nomadVarList: fn([0, 1], (prefix) => variables('nomadVarList', prefix).map(metadataOf)),
    nomadVarListSafe: fn([0, 1], (prefix) => {
      // Waits until there is one, and with such a prefix there never is.
      refuse('nomadVarListSafe', prefixProblem(prefix === undefined ? '' : textOf(prefix)));
      return variables('nomadVarListSafe', prefix).map(metadataOf);
    }),
    nomadService: fn([1, 3], (...args) => {
      if (args.length === 2) throw new Error('nomadService takes a name, or a number, a key and a name');
      const key = args.length === 1 ? textOf(args[0]) : `${intOf(args[0])}|${textOf(args[1])}|${textOf(args[2])}`;
      const name = textOf(args.at(-1));
      if (!SERVICE.test(name))
        throw new Error(`nomadService: ${quote(name)} names no service: [tag.]name, of letters, digits, - and _`);
      // A region behind the name: a mesh is one region.
      const rows = known(ask('nomadService', key.replace(/@[^@|]*$/, '')), []) as ServiceRegistration[];
      return rows.map(serviceOf);
    }),
    nomadServices: fn([0, 1], () => {
      const rows = known(ask('nomadServices', ''), []) as ServiceListStub['Services'];
      return rows.map(
        ({ ServiceName: Name, Tags }) => new Struct('*dependency.NomadServicesSnippet', { Name, Tags: tagsOf(Tags) }),
      );
    }),
  };
}

/** `[tag.]name[@region]`, as Consul Template reads it. */
const SERVICE = /^([\w=:.-]+\.)?[\w-]+(@[\w.-]+)?$/;

/** What is asked for and can never be there is told, not waited for. */
function refuse(name: string, problem: string | null): void {
  if (problem !== null) throw new Error(`${name}: ${problem}`);
}

function prefixProblem(prefix: string): string | null {
  const bad = /[^A-Za-z0-9\-_~/]/.exec(prefix)?.[0];
  return bad === undefined ? null : `no variable has a path with ${quote(bad)} in it: letters, digits, -, _, ~ and /`;
}

/** A path without blanks and slashes around it; a namespace (and region) behind it may only be the task's own. */
function pathOf(value: Value): string {
  const [path = '', namespace = 'default'] = textOf(value).trim().split('@');
  if (!/^default(\.|$)/.test(namespace))
    throw new Error(`there is no namespace ${quote(namespace)}: a mesh has "default" alone`);
  return path.replace(/^\/+|\/+$/g, '');
}

/** The items of a variable, each a text with its Key and Value, which also answer what they are asked about the variable. */
function itemsOf(variable: Variable | null): TypedMap {
  const names = Object.keys(variable?.Items ?? {}).sort(compareText);
  const textAt = (name: string): string => variable?.Items[name] ?? '';
  const about = variable === null ? null : metadataOf(variable);
  const parent = (): Value =>
    variable === null
      ? null
      : new Struct('*dependency.NomadVariable', { ...about?.fields, Items: items }, { Metadata: fn(0, () => about) });
  const methods = { Metadata: fn(0, () => about), Parent: fn(0, parent) };
  const item = (Key: string): TextStruct =>
    new TextStruct('dependency.NomadVarItem', textAt(Key), { fields: { Key, Value: textAt(Key) }, methods });
  const items: TypedMap = new TypedMap(
    'dependency.NomadVarItems',
    names.map((name) => [name, item(name)]),
    {
      zero: new TextStruct('dependency.NomadVarItem', '', { fields: { Key: '', Value: '' } }),
      methods: {
        ...methods,
        Keys: fn(0, () => names),
        Values: fn(0, () => names.map(textAt)),
        Tuples: fn(0, () => names.map((K) => new Struct('struct { K string; V string }', { K, V: textAt(K) }))),
        ItemsMap: fn(0, () => new Map(names.map((name) => [name, textAt(name)]))),
      },
    },
  );
  return items;
}

function metadataOf({ Namespace, Path, CreateIndex, ModifyIndex, ...times }: VariableMetadata): Struct {
  const [CreateTime, ModifyTime] = [timeOf(times.CreateTime), timeOf(times.ModifyTime)];
  const fields = { Namespace, Path, CreateIndex, ModifyIndex, CreateTime, ModifyTime };
  return new Struct('*dependency.NomadVarMeta', fields, { String: fn(0, () => Path) });
}

/** Nanoseconds since 1970, shown as Go shows a time. */
function timeOf(ns: number): TextStruct {
  const [date, clock = ''] = new Date(ns / 1e6).toISOString().replace('Z', '').split('T');
  return new TextStruct('dependency.nanoTime', `${date} ${clock.replace(/\.?0*$/, '')} +0000 UTC`);
}

function serviceOf(row: ServiceRegistration): Struct {
  const { ID, ServiceName: Name, NodeID: Node, Datacenter, Address, Port, JobID, AllocID } = row;
  const Tags = tagsOf(row.Tags);
  return new Struct('*dependency.NomadService', { ID, Name, Node, Address, Port, Datacenter, Tags, JobID, AllocID });
}

/** Tags in order; they can be asked what they contain. */
function tagsOf(tags: readonly string[] | null | undefined): TextList {
  const sorted = [...(tags ?? [])].sort(compareText);
  const has = (wanted: Value): boolean => sorted.includes(textOf(wanted));
  return new TextList(sorted, {
    Contains: fn(1, has),
    ContainsAll: fn(1, (wanted) => listOf(wanted).every(has)),
    ContainsAny: fn(1, (wanted) => listOf(wanted).some(has)),
    ContainsNone: fn(1, (wanted) => !listOf(wanted).some(has)),
    ContainsNotAll: fn(1, (wanted) => !listOf(wanted).every(has)),
  });
}
