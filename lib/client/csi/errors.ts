import { CsiError } from '../../plugin/sdk/csi.js';
import { type ErrorCode, MeshError } from '../../structs/errors.js';

/** What a server that asked for a call is told: the plugin's words, and whether asking again may help. */
export function toMeshError(error: unknown): MeshError {
  if (error instanceof MeshError) return error;
  if (!(error instanceof CsiError)) {
    return new MeshError('E_INTERNAL', error instanceof Error ? error.message : String(error), { cause: error });
  }
  return new MeshError(codeOf(error), error.message, { cause: error });
}

function codeOf({ code }: CsiError): ErrorCode {
  switch (code) {
    case 'NOT_FOUND':
      return 'E_NOT_FOUND';
    case 'RESOURCE_EXHAUSTED':
    case 'OUT_OF_RANGE':
      return 'E_TOO_LARGE';
    case 'INVALID_ARGUMENT':
    case 'ALREADY_EXISTS':
    case 'UNIMPLEMENTED':
    case 'PERMISSION_DENIED':
    case 'UNAUTHENTICATED':
      return 'E_BAD_REQUEST';
    case 'CANCELLED':
    case 'UNKNOWN':
    case 'DEADLINE_EXCEEDED':
    case 'FAILED_PRECONDITION':
    case 'ABORTED':
    case 'INTERNAL':
      return 'E_CONFLICT';
    // Nobody is there: another process of the plugin may do it.
    case 'UNAVAILABLE':
      return 'E_TIMEOUT';
  }
}

/** True when the same call may succeed later. */
export function mayPass(error: unknown): boolean {
  const code = error instanceof CsiError ? codeOf(error) : error instanceof MeshError ? error.code : 'E_INTERNAL';
  return code !== 'E_BAD_REQUEST' && code !== 'E_NOT_FOUND' && code !== 'E_PERMISSION_DENIED';
}
