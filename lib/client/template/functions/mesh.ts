import type { ServiceListStub, ServiceRegistration } from '../../../structs/service.js';
import type { Variable, VariableMetadata } from '../../../structs/variable.js';
import { fn, Struct, type TemplateFunction, type Value } from '../../../template/index.js';
import type { Answer, Ask } from '../source.js';
import { intOf, textOf } from './arguments.js';

/** Consul Template's functions over Nomad's variables and services. */
export function meshFunctions(
  ask: Ask,
  known: (answer: Answer, other: Value) => Value,
): Record<string, TemplateFunction> {
  const variables = (kind: 'nomadVarList' | 'nomadVarListSafe', prefix: Value): VariableMetadata[] =>
    known(ask(kind, prefix === undefined ? '' : textOf(prefix)), []) as VariableMetadata[];
  return {
    nomadVar: fn(1, (path) => {
      const variable = known(ask('nomadVar', textOf(path)), null) as Variable | null;
      return variable === null ? new Map() : new VariableItems(variable);
    }),
    nomadVarExists: fn(1, (path) => variables('nomadVarList', path).some(({ Path }) => Path === textOf(path))),
    nomadVarList: fn([0, 1], (prefix) => variables('nomadVarList', prefix).map(metadataOf)),
    nomadVarListSafe: fn([0, 1], (prefix) => variables('nomadVarListSafe', prefix).map(metadataOf)),
    nomadService: fn([1, 3], (...args) => {
      if (args.length === 2) throw new Error('nomadService takes a name, or a number, a key and a name');
      const key = args.length === 1 ? textOf(args[0]) : `${intOf(args[0])}|${textOf(args[1])}|${textOf(args[2])}`;
      // A region behind the name: a mesh is one region.
      const rows = known(ask('nomadService', key.replace(/@[^@|]*$/, '')), []) as ServiceRegistration[];
      return rows.map(serviceOf);
    }),
    nomadServices: fn(0, () => {
      const rows = known(ask('nomadServices', ''), []) as ServiceListStub['Services'];
      return rows.map(({ ServiceName: Name, Tags }) => new Struct('*dependency.NomadServicesSnippet', { Name, Tags }));
    }),
  };
}

/** The items of a variable: a map, which also answers what it is asked about itself. */
class VariableItems extends Map<string, Value> {
  private readonly about: Readonly<Record<string, Value>>;

  constructor(variable: Variable) {
    super(Object.entries(variable.Items));
    const names = Object.keys(variable.Items).sort();
    this.about = {
      Keys: names,
      Values: names.map((name) => variable.Items[name]),
      Tuples: names.map((Key) => ({ Key, Value: variable.Items[Key] })),
      Metadata: metadataOf(variable),
    };
  }

  override has(key: string): boolean {
    return super.has(key) || Object.hasOwn(this.about ?? {}, key);
  }

  override get(key: string): Value {
    return super.has(key) ? super.get(key) : this.about[key];
  }
}

function metadataOf({ Namespace, Path, CreateIndex, ModifyIndex, CreateTime, ModifyTime }: VariableMetadata): Struct {
  const fields = { Namespace, Path, CreateIndex, ModifyIndex, CreateTime, ModifyTime };
  return new Struct('*dependency.NomadVarMeta', fields, { String: fn(0, () => Path) });
}

function serviceOf(row: ServiceRegistration): Struct {
  const { ID, ServiceName: Name, NodeID: Node, Datacenter, Address, Port, JobID, AllocID } = row;
  const Tags = row.Tags ?? [];
  return new Struct('*dependency.NomadService', { ID, Name, Node, Datacenter, Address, Port, Tags, JobID, AllocID });
}
