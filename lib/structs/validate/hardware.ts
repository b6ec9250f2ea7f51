// What a node says of its hardware comes from plugins and from other machines: the scheduler reads it without asking again.

const GROUPS_MAX = 256;
const INSTANCES_MAX = 4096;
const ATTRIBUTES_MAX = 256;
const CORES_MAX = 65_536;
const TEXT_MAX = 1024;

/** What is wrong with the devices of a node, in words; null when they can be used. */
export function devicesProblem(devices: unknown): string | null {
  if (devices === null || devices === undefined) return null;
  if (!Array.isArray(devices)) return 'devices are no list';
  if (devices.length > GROUPS_MAX) return `more than ${GROUPS_MAX} kinds of devices`;
  const keys = new Set<string>();
  for (const group of devices as unknown[]) {
    const problem = groupProblem(group);
    if (problem !== null) return problem;
    const { Vendor, Type, Name } = group as Record<string, string>;
    const key = `${Vendor}/${Type}/${Name}`;
    if (keys.has(key)) return `device ${key} is there twice`;
    keys.add(key);
  }
  return null;
}

function groupProblem(group: unknown): string | null {
  if (!isObject(group)) return 'a device is no object';
  const { Vendor, Type, Name, Instances, Attributes } = group;
  if (!isName(Vendor) || !isName(Type) || Vendor.includes('/') || Type.includes('/')) {
    return 'a device has no vendor or type, or one with a "/"';
  }
  if (!isName(Name)) return `a device of type ${Vendor}/${Type} has no name`;
  const key = `${Vendor}/${Type}/${Name}`;
  if (!Array.isArray(Instances) || Instances.length > INSTANCES_MAX) return `device ${key}: instances are no list`;
  const ids = new Set<unknown>();
  for (const one of Instances as unknown[]) {
    if (!isObject(one) || !isName(one['ID'])) return `device ${key}: an instance has no id`;
    if (ids.has(one['ID'])) return `device ${key}: the instance ${one['ID']} is there twice`;
    ids.add(one['ID']);
    const locality = one['Locality'] ?? null;
    const isPlaced = locality === null || (isObject(locality) && isText(locality['PciBusID']));
    if (typeof one['Healthy'] !== 'boolean' || !isPlaced) return `device ${key}: instance ${one['ID']} is not readable`;
  }
  return attributesProblem(key, Attributes ?? null);
}

function attributesProblem(key: string, attributes: unknown): string | null {
  if (attributes === null) return null;
  if (!isObject(attributes) || Object.keys(attributes).length > ATTRIBUTES_MAX)
    return `device ${key}: attributes are none`;
  for (const [name, value] of Object.entries(attributes)) {
    if (!isObject(value)) return `device ${key}: attribute ${name} is none`;
    const { Bool, Int, Float, String: text, Unit } = value;
    const isGood =
      (Bool === undefined || typeof Bool === 'boolean') &&
      [Int, Float].every((number) => number === undefined || Number.isFinite(number)) &&
      [text, Unit].every((one) => one === undefined || isText(one));
    if (!isGood) return `device ${key}: attribute ${name} is not readable`;
  }
  return null;
}

/** What is wrong with the topology of a node, in words; null when it can be used, or is not told. */
export function topologyProblem(processors: unknown): string | null {
  if (processors === null || processors === undefined) return null;
  const topology = isObject(processors) ? (processors['Topology'] ?? null) : undefined;
  if (topology === null) return null;
  if (!isObject(topology)) return 'the topology is none';
  const { Nodes, Distances, Cores, BusAssociativity } = topology;
  if (!isNumbers(Nodes)) return 'the NUMA nodes are no list of numbers';
  if (!Array.isArray(Distances) || Distances.length !== Nodes.length || !Distances.every(isNumbers)) {
    return 'the distances of the NUMA nodes are no table';
  }
  if (!Array.isArray(Cores) || Cores.length > CORES_MAX) return 'the cores are no list';
  for (const core of Cores as unknown[]) {
    if (!isObject(core) || !isCount(core['ID']) || !isCount(core['NodeID'])) return 'a core is not readable';
  }
  const bus = BusAssociativity ?? null;
  const isPlaced = bus === null || (isObject(bus) && Object.values(bus).every(isCount));
  return isPlaced ? null : 'the places of the devices are no numbers';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= TEXT_MAX;
}

function isName(value: unknown): value is string {
  return isText(value) && value !== '';
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= CORES_MAX && value.every(isCount);
}
