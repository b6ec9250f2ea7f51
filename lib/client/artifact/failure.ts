/** Why an artifact is not there; `recoverable`: it may well be there at the next attempt. */
export class ArtifactError extends Error {
  readonly recoverable: boolean;
  /** What a web server answered; null: it is about something else. */
  readonly status: number | null;

  constructor(message: string, options: { recoverable: boolean; status?: number; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.name = 'ArtifactError';
    this.recoverable = options.recoverable;
    this.status = options.status ?? null;
  }
}

/** It will not be otherwise the next time: the source is wrong, or what came is not what it should be. */
export function refuse(message: string): ArtifactError {
  return new ArtifactError(message, { recoverable: false });
}

/** The network, the disk or the other side may be better the next time. */
export function retry(message: string, cause?: unknown): ArtifactError {
  return new ArtifactError(message, { recoverable: true, cause });
}

export function reasonOf(error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error);
  return reason.includes(':wrong version number:') ? 'no TLS is spoken there: write http instead of https' : reason;
}

/** Why nothing is fetched from the node's own directories. */
export const NO_HOST_FILES =
  'files of the host are not fetched: use http, or write disable_filesystem_isolation = true in the artifact block (in client, in the configuration of the agent)';
