import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * The right to read the data of an ended allocation: made by the servers from the secret of the node that has it, so that
 * nothing needs to be kept anywhere. It opens this one allocation only.
 */
export function migrateToken(nodeSecretId: string, allocId: string): string {
  return createHmac('sha256', nodeSecretId).update(`migrate ${allocId}`).digest('base64url');
}

/** Whether a token is that of this node for this allocation. */
export function isMigrateToken(token: string, nodeSecretId: string, allocId: string): boolean {
  const [given, wanted] = [token, migrateToken(nodeSecretId, allocId)].map((text) => Buffer.from(text));
  return (
    given !== undefined && wanted !== undefined && given.length === wanted.length && timingSafeEqual(given, wanted)
  );
}
