import { err, ok, type Result } from '../../util/result.js';
import type { CallResult } from '../context.js';
import { STRING } from '../types.js';
import { listValue, objectValue, stringValue, type Value } from '../values.js';
import { refuse } from './define.js';

interface Row {
  readonly fields: string[];
  /** Line of the source on which it begins, from 1. */
  readonly line: number;
}

/** A quoted field with its quotes doubled inside, or one without any quote. */
const FIELD = /"((?:[^"]|"")*)"(?=[,\n]|$)|([^",\n]*)(?=[,\n]|$)/y;

/** The rows of CSV (RFC 4180) as Go reads them: empty lines are none; the error says where it is broken. */
function parseCsv(text: string): Result<Row[], string> {
  const source = text.replaceAll('\r\n', '\n').replace(/\r$/, '');
  const rows: Row[] = [];
  let line = 1;
  let at = 0;
  while (at < source.length) {
    if (source.charAt(at) === '\n') {
      line++;
      at++;
      continue;
    }
    const row: Row = { fields: [], line };
    for (let more = true; more; ) {
      FIELD.lastIndex = at;
      const match = FIELD.exec(source);
      if (!match) return err(brokenField(source, at, line));
      row.fields.push(match[1] === undefined ? (match[2] ?? '') : match[1].replaceAll('""', '"'));
      line += match[0].split('\n').length - 1;
      at = FIELD.lastIndex;
      more = source.charAt(at) === ',';
      if (more) at++;
    }
    rows.push(row);
    line++;
    at++;
  }
  return ok(rows);
}

function brokenField(source: string, at: number, line: number): string {
  if (source.charAt(at) !== '"') return `CSV parse error on line ${line}: bare " in non-quoted-field`;
  const quoted = /"(?:[^"]|"")*("?)/y;
  quoted.lastIndex = at;
  const last = line + (quoted.exec(source)?.[0].split('\n').length ?? 1) - 1;
  return `CSV parse error on line ${last}: extraneous or missing " in quoted-field`;
}

/** A list of objects, one a line, with the names of the first line. */
export function csvDecode(source: string): CallResult {
  const parsed = parseCsv(source);
  if (!parsed.ok) return refuse(parsed.error);
  const [head, ...rows] = parsed.value;
  if (!head) return refuse('missing header line');
  const { fields: header } = head;
  const twice = header.find((name, i) => header.indexOf(name) !== i);
  if (twice !== undefined) return refuse(`duplicate column name ${JSON.stringify(twice)}`);
  const objects: Value[] = [];
  for (const { fields, line } of rows) {
    if (fields.length !== header.length) return refuse(`CSV parse error on line ${line}: wrong number of fields`);
    objects.push(objectValue(header.map((name, column) => [name, stringValue(fields[column] ?? '')] as const)));
  }
  const element = { kind: 'object' as const, attributes: new Map(header.map((name) => [name, STRING])) };
  return ok(listValue(element, objects));
}
