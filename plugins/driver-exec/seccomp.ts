// What a container of exec may not ask the kernel for. Where Docker lists all that is allowed, this lists what is refused: the
// same calls, but a kernel's new ones need no new list. What a capability is for, that capability allows.

interface Rule {
  names: string[];
  /** Absent: whatever it is called with. */
  args?: { index: number; value: number; valueTwo?: number; op: 'SCMP_CMP_EQ' | 'SCMP_CMP_MASKED_EQ' }[];
  errno?: number;
}

const EPERM = 1;
const ENOSYS = 38;

/** Keys are not of any namespace; the others are large, and seldom what a service needs. */
const ALWAYS =
  'add_key keyctl request_key userfaultfd io_uring_setup io_uring_enter io_uring_register nfsservctl uselib vm86 vm86old _sysctl';

/** By the capability that lifts it. */
const UNLESS: Readonly<Record<string, string>> = {
  sys_admin:
    'mount umount umount2 pivot_root setns unshare fsopen fsconfig fsmount fspick open_tree move_mount mount_setattr quotactl quotactl_fd swapon swapoff fanotify_init lookup_dcookie perf_event_open bpf',
  sys_boot: 'reboot kexec_load kexec_file_load',
  sys_module: 'init_module finit_module delete_module create_module get_kernel_syms query_module',
  sys_time: 'settimeofday stime clock_settime clock_settime64 clock_adjtime clock_adjtime64',
  sys_rawio: 'iopl ioperm',
  sys_pacct: 'acct',
  syslog: 'syslog',
  dac_read_search: 'open_by_handle_at',
};
/** Others of the same user are in sight with the machine's pids. */
const UNLESS_PTRACE = 'ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp';

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET and NEWTIME: as `unshare`, by way of `clone`. */
const CLONE_FLAGS = [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x80];
/** To the hypervisor and its other guests, past every network namespace. */
const AF_VSOCK = 40;

/** Also of programs for the machine's older instructions. */
const ARCHITECTURES: Readonly<Record<string, string[]>> = {
  x64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
};

/** The filter for a task, `granted`: the capabilities it can have at most, in one spelling (plainCap). */
export function seccompProfile(
  granted: ReadonlySet<string>,
  { hasOwnPids, arch }: { hasOwnPids: boolean; arch: string },
): Record<string, unknown> {
  const rules: Rule[] = [{ names: ALWAYS.split(' ') }];
  for (const [capability, calls] of Object.entries(UNLESS))
    if (!granted.has(capability)) rules.push({ names: calls.split(' ') });
  if (!hasOwnPids && !granted.has('sys_ptrace')) rules.push({ names: UNLESS_PTRACE.split(' ') });
  if (!granted.has('sys_admin')) {
    for (const flag of CLONE_FLAGS)
      rules.push({ names: ['clone'], args: [{ index: 0, value: flag, valueTwo: flag, op: 'SCMP_CMP_MASKED_EQ' }] });
    // Its flags lie in memory, where no filter sees them; libraries then take `clone`.
    rules.push({ names: ['clone3'], errno: ENOSYS });
  }
  rules.push({ names: ['socket'], args: [{ index: 0, value: AF_VSOCK, op: 'SCMP_CMP_EQ' }] });
  const architectures = ARCHITECTURES[arch];
  return {
    defaultAction: 'SCMP_ACT_ALLOW',
    ...(architectures ? { architectures } : {}),
    syscalls: rules.map(({ names, args, errno = EPERM }) => ({
      names,
      action: 'SCMP_ACT_ERRNO',
      errnoRet: errno,
      ...(args ? { args } : {}),
    })),
  };
}
