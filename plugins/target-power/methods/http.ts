import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type ConnectionOptions, checkServerIdentity as checkName } from 'node:tls';
import type { HttpConfig, Trust } from '../config.js';
import { fillIn, type Machine } from './machine.js';
import { readSecretFile } from './secret.js';

const REQUEST_TIMEOUT_MS = 30_000;
const ANSWER_MAX_BYTES = 1024 * 1024;

export interface HttpAsk {
  method: string;
  body?: string;
  /** Of the body; absent = JSON. */
  headers?: Record<string, string>;
  trust: Trust;
  signal: AbortSignal;
}

/** Asks once; no redirect is followed: it may lead credentials astray. Rejects when there is no answer in time. */
export function askHttp(url: URL, ask: HttpAsk): Promise<{ status: number; text: string }> {
  const { method, body = '', headers = {}, trust, signal } = ask;
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const verify = url.protocol === 'https:' ? verifyBy(trust) : {};
  const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      const why = timeout.aborted ? `no answer within ${REQUEST_TIMEOUT_MS / 1_000} s` : whyNot(error, trust);
      reject(new Error(`${url.host}: ${why}`));
    };
    const own = {
      'Content-Type': 'application/json',
      'Content-Length': String(Buffer.byteLength(body)),
    };
    const asked = request(
      url,
      {
        method,
        headers: { ...(body === '' ? {} : own), ...headers },
        signal: AbortSignal.any([signal, timeout]),
        ...verify,
        // No connection outlives the question.
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > ANSWER_MAX_BYTES) response.destroy(new Error(`more than ${ANSWER_MAX_BYTES} bytes`));
          else chunks.push(chunk);
        });
        response.once('error', fail);
        response.once('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
        );
      },
    );
    asked.once('error', fail);
    asked.end(body);
  });
}

const UNTRUSTED = /SELF_SIGNED|UNABLE_TO_|CERT_|ALTNAME/;

/** For people: what was in the way, and where a certificate is believed. */
function whyNot(error: NodeJS.ErrnoException, { keys }: Trust): string {
  if (!UNTRUSTED.test(error.code ?? '')) return error.message;
  const help = `name it or its authority in ${keys}_ca_file, or set ${keys}_skip_verify = "true"`;
  return `its certificate is not trusted (${error.message}): ${help}`;
}

/** How a certificate is checked. One that is named itself need not name the host: those of controllers seldom do. */
function verifyBy({ caFile, skipVerify, keys }: Trust): ConnectionOptions {
  if (skipVerify) return { rejectUnauthorized: false };
  if (caFile === '') return {};
  let ca: Buffer;
  try {
    ca = readFileSync(caFile);
  } catch (error) {
    throw new Error(`${keys}_ca_file: cannot read ${caFile}: ${(error as Error).message}`);
  }
  let named: string;
  try {
    named = new X509Certificate(ca).fingerprint256;
  } catch {
    throw new Error(`${keys}_ca_file: ${caFile} is no certificate in PEM`);
  }
  const checkServerIdentity: typeof checkName = (host, certificate) =>
    certificate.fingerprint256 === named ? undefined : checkName(host, certificate);
  return { ca, checkServerIdentity };
}

/** The header for a user and the file with the password. */
export function basicAuth(user: string, passwordFile: string, key: string): { Authorization: string } {
  const password = readSecretFile(passwordFile, key);
  return { Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
}

/** A smart plug and the like: `url` is asked, and any answer of success will do. Says who was asked. */
export async function askPlug(
  { url, body }: { url: string; body: string },
  machine: Machine,
  { config, signal }: { config: HttpConfig; signal: AbortSignal },
): Promise<string> {
  const { method, user, passwordFile, tokenFile, trust } = config;
  const filled = new URL(fillIn(url, machine, encodeURIComponent));
  const headers = {
    ...(user === '' ? {} : basicAuth(user, passwordFile, 'http_password_file')),
    ...(tokenFile === '' ? {} : { Authorization: `Bearer ${readSecretFile(tokenFile, 'http_token_file')}` }),
  };
  const text = fillIn(body, machine, (value) => JSON.stringify(value).slice(1, -1));
  const { status } = await askHttp(filled, { method, body: text, headers, trust, signal });
  if (status < 200 || status > 299) throw new Error(`${filled.host} answered ${status} for ${machine.node.Name}`);
  return filled.host;
}
