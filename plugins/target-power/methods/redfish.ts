import type { BmcConfig } from '../config.js';
import { askHttp, basicAuth } from './http.js';
import { fillIn, type Machine } from './machine.js';

const ROOT = '/redfish/v1/Systems';
/** The likeliest first: controllers differ in what they know. */
const RESETS = { on: ['On', 'ForceOn', 'PushPowerButton'], off: ['GracefulShutdown', 'PushPowerButton'] } as const;
const DONE = { on: 'On', off: 'Off' } as const;

interface System {
  PowerState?: string;
  Actions?: {
    '#ComputerSystem.Reset'?: { target?: string; 'ResetType@Redfish.AllowableValues'?: string[] };
  };
}

/** Asks the controller of a machine by Redfish (DSP0266) to switch it on, or to shut it down in order. Says who was asked. */
export async function askRedfish(
  action: 'on' | 'off',
  machine: Machine,
  { config, signal }: { config: BmcConfig; signal: AbortSignal },
): Promise<string> {
  const base = baseOf(fillIn(config.address, machine), machine);
  const headers = basicAuth(config.user, config.passwordFile, 'bmc_password_file');
  const ask = async <T>(path: string, body?: object): Promise<T> => {
    const url = new URL(path, base);
    // A controller must not send our password elsewhere.
    if (url.origin !== base.origin) throw new Error(`${base.host}: it names an address of another host`);
    const { status, text } = await askHttp(url, {
      method: body ? 'POST' : 'GET',
      ...(body ? { body: JSON.stringify(body) } : {}),
      headers,
      trust: config.trust,
      signal,
    });
    if (status === 401 || status === 403)
      throw new Error(`${base.host} refuses bmc_user or its password (${status}${reasonIn(text)})`);
    if (status < 200 || status > 299) throw new Error(`${base.host} answered ${status}${reasonIn(text)}`);
    return parse<T>(text, base.host, body !== undefined);
  };
  const path = base.pathname === '/' ? await firstSystem(ask, base.host) : base.pathname;
  const system = await ask<System>(path);
  if (system.PowerState === DONE[action]) return base.host;
  const reset = system.Actions?.['#ComputerSystem.Reset'];
  const target = reset?.target;
  if (typeof target !== 'string') throw new Error(`${base.host}: ${path} cannot be switched on or off`);
  const allowed = reset?.['ResetType@Redfish.AllowableValues'];
  const type = RESETS[action].find((one) => !Array.isArray(allowed) || allowed.includes(one));
  if (!type) throw new Error(`${base.host} knows none of ${RESETS[action].join(', ')} but ${allowed?.join(', ')}`);
  await ask(target, { ResetType: type });
  return base.host;
}

/** "bmc.lan", or an address with the path of one of several systems. */
function baseOf(address: string, machine: Machine): URL {
  const text = address.includes('://') ? address : `https://${address}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== '')
    throw new Error(`bmc_address is none for ${machine.node.Name}: write "https://HOST"`);
  return url;
}

async function firstSystem(ask: <T>(path: string) => Promise<T>, host: string): Promise<string> {
  const { Members = [] } = await ask<{ Members?: { '@odata.id'?: string }[] }>(ROOT);
  const paths = (Array.isArray(Members) ? Members : []).flatMap((member) => member['@odata.id'] ?? []);
  const [first] = paths;
  if (first === undefined) throw new Error(`${host} lists no system at ${ROOT}`);
  if (paths.length > 1)
    throw new Error(`${host} has several systems: name one, bmc_address = "https://${host}${first}"`);
  return first;
}

function parse<T>(text: string, host: string, mayBeEmpty: boolean): T {
  if (mayBeEmpty) return {} as T;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as T;
  } catch {
    // Told below.
  }
  throw new Error(`${host} answered with no JSON object: is it a Redfish service?`);
}

/** The words of the controller, where it has any. */
function reasonIn(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: unknown } };
    return typeof error?.message === 'string' ? `: ${error.message.slice(0, 200)}` : '';
  } catch {
    return '';
  }
}
