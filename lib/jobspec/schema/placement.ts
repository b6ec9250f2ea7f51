import { type Field, int, intOrZero, label, list, type Raw, type Struct, text, textOrEmpty } from './field.js';

const target: Field[] = [
  textOrEmpty('attribute', 'LTarget'),
  textOrEmpty('value', 'RTarget'),
  textOrEmpty('operator', 'Operand'),
];

/** `version = ">= 1"` for operator and value together. Later ones win, as in Nomad. */
const SHORTHANDS = ['version', 'semver', 'regexp', 'set_contains_any', 'set_contains_all', 'set_contains'];

const shorthandFields: Field[] = SHORTHANDS.map((name) => text(name, `~${name}`));

/** The value under a `~` key, which is removed. */
export function take(raw: Raw, key: string): unknown {
  const value = raw[key];
  delete raw[key];
  return value;
}

function settleShorthands(raw: Raw): void {
  for (const name of SHORTHANDS) {
    const value = take(raw, `~${name}`);
    if (typeof value !== 'string' || value === '') continue;
    raw['Operand'] = name;
    raw['RTarget'] = value;
  }
}

export const constraint: Struct = {
  name: 'constraint',
  fields: [
    ...target,
    ...shorthandFields,
    { form: 'attribute', hcl: 'distinct_hosts', json: '~distinct_hosts', type: 'bool', zero: null, required: false },
    text('distinct_property', '~distinct_property'),
    text('is_set', '~is_set'),
    text('is_not_set', '~is_not_set'),
  ],
  settle: (raw) => {
    settleShorthands(raw);
    const hosts = take(raw, '~distinct_hosts');
    if (typeof hosts === 'boolean') {
      raw['Operand'] = 'distinct_hosts';
      // Without a value it holds; only "false" switches it off.
      if (!hosts) raw['RTarget'] = 'false';
    }
    for (const name of ['distinct_property', 'is_set', 'is_not_set']) {
      const attribute = take(raw, `~${name}`);
      if (typeof attribute !== 'string' || attribute === '') continue;
      raw['Operand'] = name;
      raw['LTarget'] = attribute;
    }
    if (raw['Operand'] === '') raw['Operand'] = '=';
    return undefined;
  },
};

export const affinity: Struct = {
  name: 'affinity',
  fields: [...target, int('weight', 'Weight'), ...shorthandFields],
  settle: (raw) => {
    settleShorthands(raw);
    if (raw['Operand'] === '') raw['Operand'] = '=';
    return undefined;
  },
};

export const spread: Struct = {
  name: 'spread',
  fields: [
    textOrEmpty('attribute', 'Attribute'),
    int('weight', 'Weight'),
    list('target', 'SpreadTarget', {
      name: 'target',
      fields: [label('Value', 'value'), intOrZero('percent', 'Percent')],
    }),
  ],
};
