/** What a task may do without the agent's consent, as Nomad's drivers have it: Docker's own default set without raw sockets. */
export const DEFAULT_CAPS: readonly string[] =
  'audit_write chown dac_override fowner fsetid kill mknod net_bind_service setfcap setgid setpcap setuid sys_chroot'.split(
    ' ',
  );

/** A capability's name in one spelling: `CAP_NET_RAW` and `NET_RAW` are `net_raw`. */
export function plainCap(name: string): string {
  return name.toLowerCase().replace(/^cap_/, '');
}

/** Those of the added capabilities that the agent does not allow; "all" among the allowed allows any. */
export function forbiddenCaps(allowed: readonly string[], added: readonly string[]): string[] {
  const plain = allowed.map(plainCap);
  return plain.includes('all') ? [] : added.map(plainCap).filter((name) => !plain.includes(name));
}
