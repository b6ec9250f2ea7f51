import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isKeyPair, type KeyPair } from './certificate.js';
import type { PluginAddress } from './handshake.js';

/** How a running plugin is found again by the next agent. Holds a private key: the file is for this user alone. */
export interface Attachment {
  pid: number;
  /** As `processStart` tells it. */
  startedAt: string;
  fingerprint: string;
  address: Omit<PluginAddress, 'certificate'>;
  certificate: Buffer | null;
  keys: KeyPair;
  /** Where the plugin was told to make its sockets; removed with it, when no task's executor is left in it. */
  socketDir: string;
}

const VERSION = 1;

/** Null when there is none, or none that can be read: the plugin is then started anew. */
export function readAttachment(stateDir: string): Attachment | null {
  try {
    const kept = JSON.parse(readFileSync(pathOf(stateDir), 'utf8'));
    const { version, pid, startedAt, fingerprint, address, certificate, keys, socketDir } = kept;
    const isKnown = version === VERSION && Number.isSafeInteger(pid) && pid > 1 && typeof startedAt === 'string';
    if (!isKnown || !isAddress(address) || !isKeyPair(keys) || typeof socketDir !== 'string') return null;
    const der = typeof certificate === 'string' ? Buffer.from(certificate, 'base64') : null;
    return { pid, startedAt, fingerprint, address, certificate: der, keys, socketDir };
  } catch {
    return null;
  }
}

export function writeAttachment(stateDir: string, attachment: Attachment): void {
  const { certificate, ...rest } = attachment;
  const text = JSON.stringify({ version: VERSION, ...rest, certificate: certificate?.toString('base64') ?? null });
  const fresh = `${pathOf(stateDir)}.new`;
  writeFileSync(fresh, text, { mode: 0o600 });
  renameSync(fresh, pathOf(stateDir));
}

export function forgetAttachment(stateDir: string): void {
  rmSync(pathOf(stateDir), { force: true });
}

/** A process that has been started as a plugin and has not said yet how to reach it. */
export type Beginner = Pick<Attachment, 'pid' | 'startedAt'>;

/** Null: there is none, or it has become a plugin. */
export function readBeginner(stateDir: string): Beginner | null {
  try {
    const { pid, startedAt } = JSON.parse(readFileSync(beginnerPath(stateDir), 'utf8'));
    return Number.isSafeInteger(pid) && pid > 1 && typeof startedAt === 'string' ? { pid, startedAt } : null;
  } catch {
    return null;
  }
}

/** To be called before anything is waited for: an agent that ends while its plugin starts leaves it to the next one. */
export function writeBeginner(stateDir: string, { pid, startedAt }: Beginner): void {
  writeFileSync(beginnerPath(stateDir), JSON.stringify({ pid, startedAt }), { mode: 0o600 });
}

export function forgetBeginner(stateDir: string): void {
  rmSync(beginnerPath(stateDir), { force: true });
}

function beginnerPath(stateDir: string): string {
  return join(stateDir, 'starting.json');
}

function pathOf(stateDir: string): string {
  return join(stateDir, 'plugin.json');
}

function isAddress(value: unknown): value is Attachment['address'] {
  if (typeof value !== 'object' || value === null) return false;
  const { network, address, protocolVersion } = value as Record<string, unknown>;
  return (
    (network === 'unix' || network === 'tcp') && typeof address === 'string' && typeof protocolVersion === 'number'
  );
}
