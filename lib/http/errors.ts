import { MeshError } from '../structs/errors.js';
import { replacedText } from '../util/replaced.js';

/** What goes back for a failure: Nomad answers a bare text with the status code. */
export interface ErrorAnswer {
  status: number;
  text: string;
}

/** Turns whatever a handler threw into an answer; anything but a MeshError is a defect, told without its stack. */
export function errorAnswer(error: unknown): ErrorAnswer {
  if (error instanceof MeshError) return { status: error.status, text: error.message };
  const replaced = replacedText(error);
  if (replaced !== null) return { status: 500, text: replaced };
  const message = error instanceof Error ? error.message : String(error);
  return { status: 500, text: `internal error: ${message} (a defect of meshnomad; the agent's log has the details)` };
}

export function badRequest(message: string): MeshError {
  return new MeshError('E_BAD_REQUEST', message);
}

export function notFound(message: string): MeshError {
  return new MeshError('E_NOT_FOUND', message);
}
