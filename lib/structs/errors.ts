/** Every code an agent answers with, its HTTP status, and what it means. A test holds docs/errors.md to this table. */
export const ERRORS = {
  E_BAD_REQUEST: {
    status: 400,
    meaning: 'The request itself is wrong: its text says which part, and what to write instead.',
  },
  E_PERMISSION_DENIED: { status: 403, meaning: 'The token, or its absence, does not allow this.' },
  E_NOT_FOUND: { status: 404, meaning: 'Nothing has this name or id.' },
  E_METHOD_NOT_ALLOWED: { status: 405, meaning: 'The path exists, but not for this HTTP method.' },
  E_CONFLICT: { status: 409, meaning: 'Somebody else changed it first; read it again and retry.' },
  E_TOO_LARGE: { status: 413, meaning: 'The body is larger than the limit its text names.' },
  E_TOO_MANY: { status: 429, meaning: 'A limit on connections or queued work is reached; retry later.' },
  E_INTERNAL: { status: 500, meaning: 'A defect of the agent; its log has the details.' },
  E_NO_LEADER: { status: 500, meaning: 'No server leads at the moment, so nothing can be written.' },
  E_NO_NODE_PATH: { status: 404, meaning: 'The node that has this allocation cannot be reached at the moment.' },
  E_NOT_SUPPORTED: { status: 501, meaning: 'Known, but not supported by this version.' },
  E_STORAGE: {
    status: 500,
    meaning: 'The disk refused a write (full, read-only or failing): nothing was acknowledged.',
  },
  E_TIMEOUT: { status: 504, meaning: 'The other side did not answer in time.' },
} as const satisfies Record<string, { status: number; meaning: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** A failure a user can meet: its message says what happened, where, and what to do; `code` leads to the HTTP status. */
export class MeshError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'MeshError';
    this.code = code;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }
}
