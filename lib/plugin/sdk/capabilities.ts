import { nearest } from '../../util/nearest.js';
import type { ConfigProblem } from './driver.js';

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

/** What "all" of cap_add means to a runtime. */
export const ALL_CAPS: readonly string[] =
  'chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read'.split(
    ' ',
  );

/** Every capability that Linux has by now; an older kernel lacks the last ones. */
const KNOWN_CAPS: readonly string[] = [...ALL_CAPS, 'perfmon', 'bpf', 'checkpoint_restore'];

/** The names in these lists of a config that no kernel knows. */
export function capProblems(lists: Readonly<Record<string, readonly string[]>>): ConfigProblem[] {
  return Object.entries(lists).flatMap(([key, names]) =>
    names.flatMap((name, i) => {
      if (plainCap(name) === 'all' || KNOWN_CAPS.includes(plainCap(name))) return [];
      const near = nearest(plainCap(name), KNOWN_CAPS);
      const message = `is no capability of Linux: "${name}"${near ? `; did you mean "${near}"?` : ''}`;
      return [{ path: `${key}[${i}]`, message }];
    }),
  );
}
