import { type Field, int, label, list, type Raw, type Struct, text, textOrEmpty, UINT8, upTo } from './field.js';

const target: Field[] = [text('attribute', 'LTarget'), text('value', 'RTarget'), text('operator', 'Operand')];

/** Null is as good as nothing in these blocks. */
function settleTarget(raw: Raw): void {
  for (const key of ['LTarget', 'RTarget', 'Operand']) raw[key] ??= '';
}

/** `version = ">= 1"` for operator and value together. Later ones win, as in Nomad. */
const SHORTHANDS = ['version', 'semver', 'regexp', 'set_contains_any', 'set_contains_all', 'set_contains'];

const shorthandFields: Field[] = SHORTHANDS.map((name) => text(name, `~${name}`));

/** The value under a `~` key, which is removed. */
export function take(raw: Raw, key: string): unknown {
  const value = raw[key];
  delete raw[key];
  return value;
}

/** Of these Nomad knows the names in a constraint and does nothing with them. */
const WITHOUT_EFFECT = ['set_contains_any', 'set_contains_all', 'is_set', 'is_not_set'];

/** Refuses a constraint that says nothing else: it would not be what its author meant. */
function dropWithoutEffect(raw: Raw): string | undefined {
  const name = WITHOUT_EFFECT.filter((each) => take(raw, `~${each}`))[0];
  if (name === undefined || (raw['LTarget'] !== '' && raw['RTarget'] !== '')) return undefined;
  const more = name.startsWith('set') ? ', value = "…"' : '';
  return `an argument ${name} does nothing in a constraint; write attribute = "…", operator = "${name}"${more}`;
}

function settleShorthands(raw: Raw, names = SHORTHANDS): void {
  for (const name of names) {
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
    settleTarget(raw);
    settleShorthands(
      raw,
      SHORTHANDS.filter((name) => !WITHOUT_EFFECT.includes(name)),
    );
    const complaint = dropWithoutEffect(raw);
    const hosts = take(raw, '~distinct_hosts');
    if (typeof hosts === 'boolean') {
      raw['Operand'] = 'distinct_hosts';
      // Without a value it holds; only "false" switches it off.
      if (!hosts) raw['RTarget'] = 'false';
    }
    const property = take(raw, '~distinct_property');
    if (typeof property === 'string' && property !== '') {
      raw['Operand'] = 'distinct_property';
      raw['LTarget'] = property;
    }
    if (raw['Operand'] === '') raw['Operand'] = '=';
    return complaint;
  },
};

export const affinity: Struct = {
  name: 'affinity',
  fields: [...target, int('weight', 'Weight'), ...shorthandFields],
  settle: (raw) => {
    settleTarget(raw);
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
      fields: [label('Value', 'value'), upTo(UINT8, 0)('percent', 'Percent')],
    }),
  ],
};
