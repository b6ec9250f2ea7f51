import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { AuthConfig } from 'dockerode';
import { DriverError } from '../../lib/plugin/sdk/driver.js';
import type { DockerConfig, DockerOptions } from './config.js';

const HUB = 'https://index.docker.io/v1/';

/** The registry an image comes from: what stands before the first slash, when it looks like a host. */
export function registryOf(image: string): string {
  const [first = '', ...rest] = image.split('/');
  const isHost = rest.length > 0 && (first.includes('.') || first.includes(':') || first === 'localhost');
  return isHost ? first : HUB;
}

/**
 * The credentials to pull a task's image with: the task's own, else those of the agent's Docker config file, else of its helper.
 * Undefined when there are none. Throws a DriverError when a helper or file fails, unless the task says auth_soft_fail.
 */
export async function findAuth(config: DockerConfig, options: DockerOptions): Promise<AuthConfig | undefined> {
  const registry = registryOf(config.image);
  const own = config.auth;
  if (own && own.username !== '') {
    return { username: own.username, password: own.password, serveraddress: own.server_address || registry };
  }
  try {
    if (own?.helper) return await askHelper(own.helper, registry);
    const { config: file, helper } = options.auth ?? {};
    return (
      (file ? await readConfigFile(file, registry) : undefined) ??
      (helper ? await askHelper(helper, registry) : undefined)
    );
  } catch (cause) {
    if (config.auth_soft_fail) return undefined;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DriverError(`credentials for ${registry}: ${reason}`, { recoverable: false, cause });
  }
}

async function readConfigFile(path: string, registry: string): Promise<AuthConfig | undefined> {
  const file = JSON.parse(await readFile(path, 'utf8')) as {
    auths?: Record<string, { auth?: string }>;
    credHelpers?: Record<string, string>;
    credsStore?: string;
  };
  const helper = file.credHelpers?.[registry] ?? file.credsStore;
  if (helper) return askHelper(helper, registry);
  const entry = Object.entries(file.auths ?? {}).find(([name]) => hostOf(name) === hostOf(registry))?.[1];
  if (!entry?.auth) return undefined;
  const [username = '', ...password] = Buffer.from(entry.auth, 'base64').toString().split(':');
  return { username, password: password.join(':'), serveraddress: registry };
}

function hostOf(name: string): string {
  return name.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
}

/** Asks `docker-credential-NAME get`, which takes the registry's name on its input and answers in JSON. */
function askHelper(name: string, registry: string): Promise<AuthConfig> {
  return new Promise((resolve, reject) => {
    const child = spawn(`docker-credential-${name}`, ['get'], { stdio: ['pipe', 'pipe', 'pipe'], timeout: 30_000 });
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    child.stdin.on('error', () => {});
    child.once('error', (error) => {
      const isAbsent = (error as NodeJS.ErrnoException).code === 'ENOENT';
      const absent = `there is no program docker-credential-${name} in the PATH of the agent: install it, or name another helper`;
      reject(isAbsent ? new Error(absent) : error);
    });
    child.once('close', (code) => {
      if (code !== 0) return reject(new Error(`docker-credential-${name}: ${(err || out).trim()}`));
      try {
        const answer = JSON.parse(out) as { Username?: string; Secret?: string };
        const { Username: username = '', Secret: secret = '' } = answer;
        // A helper that answers "<token>" as the name gives an identity token.
        if (username === '<token>')
          resolve({ identitytoken: secret, serveraddress: registry } as unknown as AuthConfig);
        else resolve({ username, password: secret, serveraddress: registry });
      } catch {
        reject(new Error(`docker-credential-${name} answered no JSON`));
      }
    });
    child.stdin.end(registry);
  });
}
