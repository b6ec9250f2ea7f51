import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import type { ResourceUsage, TaskResourceUsage } from '../../lib/structs/rpc.js';

// /proc counts processor time in ticks of 1/100 s on every Linux that Node runs on, and memory in pages.
const TICKS_PER_S = 100;
const SNAPSHOT_AGE_MAX_MS = 100;

interface Process {
  pid: number;
  parent: number;
  session: number;
  startTicks: number;
  userTicks: number;
  systemTicks: number;
  /** Of its children that ended and were waited for. */
  reapedUserTicks: number;
  reapedSystemTicks: number;
  rssBytes: number;
}

/** One process as /proc shows it, undefined when it is gone. */
export function readProcess(pid: number): Process | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The name stands in brackets and may itself hold any character: what counts begins after the last bracket.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const at = (number: number): number => fields[number - 3] ?? 0;
  return {
    pid,
    parent: at(4),
    session: at(6),
    userTicks: at(14),
    systemTicks: at(15),
    reapedUserTicks: at(16),
    reapedSystemTicks: at(17),
    startTicks: at(22),
    rssBytes: at(24) * pageBytes(),
  };
}

let knownPageBytes = 0;

/** The size of a page (4, 16 or 64 KiB on arm64), which the kernel tells each process in its auxiliary vector. */
function pageBytes(): number {
  if (knownPageBytes > 0) return knownPageBytes;
  const AT_PAGESZ = 6n;
  const auxv = readFileSync('/proc/self/auxv');
  for (let at = 0; at + 16 <= auxv.length; at += 16) {
    if (auxv.readBigUInt64LE(at) === AT_PAGESZ) knownPageBytes = Number(auxv.readBigUInt64LE(at + 8));
  }
  knownPageBytes ||= 4096;
  return knownPageBytes;
}

let snapshot: { takenAtMs: number; processes: Process[] } = { takenAtMs: 0, processes: [] };

/** All processes; one reading serves all tasks that are asked for within a moment. */
function allProcesses(): Process[] {
  const now = performance.now();
  if (now - snapshot.takenAtMs > SNAPSHOT_AGE_MAX_MS) {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    const processes = pids.map((pid) => readProcess(Number(pid))).filter((found) => found !== undefined);
    snapshot = { takenAtMs: now, processes };
  }
  return snapshot.processes;
}

/** Kills what is left of a session whose supervisor died. Its number cannot have gone to strangers while members live. */
export function killSession(leader: { pid: number; startTicks: number }): void {
  const holder = readProcess(leader.pid);
  if (holder && holder.startTicks !== leader.startTicks) return;
  snapshot = { takenAtMs: 0, processes: [] };
  for (const { pid, session } of allProcesses()) {
    if (session !== leader.pid) continue;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself meanwhile.
    }
  }
}

/** Processor time of the last question, to tell the share used since. */
export interface UsageSample {
  atMs: number;
  userTicks: number;
  systemTicks: number;
}

/** Memory and processor time of all descendants of a supervisor. */
export function treeUsage(
  supervisorPid: number,
  previous: UsageSample | undefined,
): { usage: TaskResourceUsage; sample: UsageSample } {
  const processes = allProcesses();
  const children = new Map<number, Process[]>();
  for (const found of processes) children.set(found.parent, [...(children.get(found.parent) ?? []), found]);
  const tree: Process[] = [];
  for (let front = children.get(supervisorPid) ?? []; front.length > 0; ) {
    tree.push(...front);
    front = front.flatMap(({ pid }) => children.get(pid) ?? []);
  }
  const root = processes.find(({ pid }) => pid === supervisorPid);
  const sample: UsageSample = {
    atMs: performance.now(),
    userTicks: root?.reapedUserTicks ?? 0,
    systemTicks: root?.reapedSystemTicks ?? 0,
  };
  const pids: Record<string, ResourceUsage> = {};
  let rssBytes = 0;
  for (const found of tree) {
    sample.userTicks += found.userTicks + found.reapedUserTicks;
    sample.systemTicks += found.systemTicks + found.reapedSystemTicks;
    rssBytes += found.rssBytes;
    pids[found.pid] = toUsage(found.rssBytes, { user: 0, system: 0 });
  }
  const elapsedS = previous ? (sample.atMs - previous.atMs) / 1000 : 0;
  const percent = (now: number, before: number): number =>
    elapsedS > 0 ? (Math.max(0, now - before) / TICKS_PER_S / elapsedS) * 100 : 0;
  const share = {
    user: percent(sample.userTicks, previous?.userTicks ?? 0),
    system: percent(sample.systemTicks, previous?.systemTicks ?? 0),
  };
  const usage = { ResourceUsage: toUsage(rssBytes, share), Timestamp: Date.now() * 1e6, Pids: pids };
  return { usage, sample };
}

let coreMhz = 0;

function toUsage(rssBytes: number, share: { user: number; system: number }): ResourceUsage {
  coreMhz ||= cpus()[0]?.speed || 1000;
  const percent = share.user + share.system;
  return {
    MemoryStats: {
      RSS: rssBytes,
      Cache: 0,
      Swap: 0,
      Usage: rssBytes,
      MaxUsage: 0,
      KernelUsage: 0,
      KernelMaxUsage: 0,
      Measured: ['RSS', 'Usage'],
    },
    CpuStats: {
      SystemMode: share.system,
      UserMode: share.user,
      TotalTicks: (percent / 100) * coreMhz,
      ThrottledPeriods: 0,
      ThrottledTime: 0,
      Percent: percent,
      Measured: ['System Mode', 'User Mode', 'Percent', 'Total Ticks'],
    },
    DeviceStats: [],
  };
}
