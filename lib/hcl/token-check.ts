import { type Diagnostic, errorAt } from './diagnostics.js';
import type { SourceMap } from './source-map.js';
import { T, type TokenList, type TokenType } from './tokens.js';

/** What is wrong with a token, as HashiCorp's HCL says it, and how often that is worth telling in one file. */
interface Complaint {
  readonly summary: string;
  readonly detail: string;
  readonly timesMax: number;
  /** Whether only every other one is told: the marks come in pairs. */
  readonly paired?: boolean;
}

const OPERATOR = 'Unsupported operator';
const CHARACTER = 'Invalid character';
const BITWISE = 'Bitwise operators are not supported.';

const MULTI_LINE_STRING =
  'Quoted strings may not be split over multiple lines. To produce a multi-line string, either use the \\n escape to represent a newline character or use the "heredoc" multi-line template syntax.';

const COMPLAINTS: Partial<Record<TokenType, Complaint>> = {
  [T.BitwiseAnd]: { summary: OPERATOR, detail: `${BITWISE} Did you mean boolean AND ("&&")?`, timesMax: 4 },
  [T.BitwiseOr]: { summary: OPERATOR, detail: `${BITWISE} Did you mean boolean OR ("||")?`, timesMax: 4 },
  [T.BitwiseNot]: { summary: OPERATOR, detail: `${BITWISE} Did you mean boolean NOT ("!")?`, timesMax: 4 },
  [T.BitwiseXor]: { summary: OPERATOR, detail: BITWISE, timesMax: 4 },
  [T.Apostrophe]: {
    summary: CHARACTER,
    detail: 'Single quotes are not valid. Use double quotes (") to enclose strings.',
    timesMax: 3,
    paired: true,
  },
  [T.Backtick]: {
    summary: CHARACTER,
    detail: 'The "`" character is not valid. To create a multi-line string, use the "heredoc" syntax, like "<<EOT".',
    timesMax: 3,
    paired: true,
  },
  [T.Semicolon]: {
    summary: CHARACTER,
    detail:
      'The ";" character is not valid. Use newlines to separate arguments and blocks, and commas to separate items in collection values.',
    timesMax: 1,
  },
  [T.QuotedNewline]: { summary: 'Invalid multi-line string', detail: MULTI_LINE_STRING, timesMax: 10 },
  [T.Invalid]: { summary: CHARACTER, detail: 'This character is not used within the language.', timesMax: 10 },
};

const CURLY_QUOTES =
  '"Curly quotes" are not valid here. These can sometimes be inadvertently introduced when sharing code via documents or discussion forums. It might help to replace the character with a "straight quote".';

/** The complaints about tokens that are no part of the language, in the order of the source. */
export function checkTokens(tokens: TokenList, map: SourceMap): Diagnostic[] {
  const found: Diagnostic[] = [];
  const times = new Map<TokenType, number>();
  for (let i = 0; i < tokens.length; i++) {
    const type = tokens.type(i);
    if (type < T.BitwiseAnd) continue;
    const complaint = COMPLAINTS[type];
    if (!complaint) continue;
    const before = times.get(type) ?? 0;
    times.set(type, before + 1);
    if (before >= complaint.timesMax || (complaint.paired && before % 2 === 1)) continue;
    const curly = type === T.Invalid && /[“”]/.test(map.source.slice(tokens.start(i), tokens.end(i)));
    const detail = curly ? CURLY_QUOTES : complaint.detail;
    found.push(errorAt(map.range(tokens.start(i), tokens.end(i)), complaint.summary, detail));
  }
  return found;
}
