import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * The right of one node to copy one core from another: made by the servers from the secret of the node that has it, so that nothing
 * need be kept anywhere.
 */
export function coreToken(holderSecretId: string, coreKey: string, askerId: string): string {
  return createHmac('sha256', holderSecretId).update(`core ${coreKey} for ${askerId}`).digest('base64url');
}

/** Whether a token is that of this holder, for this core and this asker. */
export function isCoreToken(token: string, holderSecretId: string, coreKey: string, askerId: string): boolean {
  const [given, wanted] = [token, coreToken(holderSecretId, coreKey, askerId)].map((text) => Buffer.from(text));
  return (
    given !== undefined && wanted !== undefined && given.length === wanted.length && timingSafeEqual(given, wanted)
  );
}
