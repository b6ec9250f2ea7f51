import { parseBigFloat } from '../number.js';
import { boolValue, NULL, numberValue, stringValue, type Value } from '../values.js';

const TRUE_WORDS = /^(?:y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON)$/;
const FALSE_WORDS = /^(?:n|N|no|No|NO|false|False|FALSE|off|Off|OFF)$/;
const NULL_WORDS = /^(?:|~|null|Null|NULL)$/;
const INTEGER = /^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$/;
const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;

function numberOf(text: string): Value | null {
  if (/^0[ox]/.test(text)) return numberValue(BigInt(text));
  const number = parseBigFloat(text);
  return number && numberValue(number);
}

/** A date, with or without a time, as RFC 3339 writes it; null when the text is none. */
function timestamp(text: string): string | null {
  const match =
    /^([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:(?:[Tt]([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2}))|(?: ([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:\.[0-9]+)?))?$/.exec(
      text,
    );
  if (!match) return null;
  const [, year = '', month = '', day = ''] = match;
  const [hour, minute, second] = [
    match[4] ?? match[8] ?? '0',
    match[5] ?? match[9] ?? '0',
    match[6] ?? match[10] ?? '0',
  ];
  const leap = Number(year) % 4 === 0 && (Number(year) % 100 !== 0 || Number(year) % 400 === 0);
  const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][Number(month) - 1] ?? 0;
  if (Number(day) < 1 || Number(day) > days || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59)
    return null;
  const two = (part: string): string => part.padStart(2, '0');
  const zone = match[7] === undefined || /^[+-]00:00$/.test(match[7]) ? 'Z' : match[7];
  return `${year}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}:${two(second)}${zone}`;
}

/** What a bare word means: YAML 1.1's truths, numbers, dates and nothings; otherwise itself. Null: no value. */
export function plainScalar(text: string): Value | null {
  if (NULL_WORDS.test(text)) return NULL;
  if (TRUE_WORDS.test(text)) return boolValue(true);
  if (FALSE_WORDS.test(text)) return boolValue(false);
  if (/^[-+]?\.(?:inf|Inf|INF)$/.test(text) || /^\.(?:nan|NaN|NAN)$/.test(text)) return null;
  const date = timestamp(text);
  if (date !== null) return stringValue(date);
  if (INTEGER.test(text) || FLOAT.test(text)) return numberOf(text) ?? stringValue(text);
  return stringValue(text);
}

/** A bare word under a tag such as `!!int`; null when it cannot be that. */
export function taggedScalar(text: string, tag: string): Value | null {
  switch (tag) {
    case '!!str':
    case '!!binary':
      return stringValue(text);
    case '!!null':
      return NULL;
    case '!!bool':
      return TRUE_WORDS.test(text) ? boolValue(true) : FALSE_WORDS.test(text) ? boolValue(false) : null;
    case '!!int':
    case '!!float':
      return numberOf(text.replaceAll('_', ''));
    case '!!timestamp': {
      const date = timestamp(text);
      return date === null ? null : stringValue(date);
    }
    default:
      return null;
  }
}
