import { err, ok, type Result } from './result.js';

/** An address of this machine, as the system lists it. */
export interface InterfaceAddress {
  readonly name: string;
  readonly address: string;
  readonly family: 'IPv4' | 'IPv6';
  readonly internal: boolean;
}

/** What a system's listing by interface has, as one list. */
export function interfaceAddresses(
  listing: Readonly<Record<string, readonly Omit<InterfaceAddress, 'name'>[] | undefined>>,
): InterfaceAddress[] {
  return Object.entries(listing).flatMap(([name, addresses]) =>
    (addresses ?? []).map(({ address, family, internal }) => ({ name, address, family, internal })),
  );
}

const TEMPLATE = /\{\{\s*(.*?)\s*\}\}/g;
const PRIVATE = /^(10\.|192\.168\.|172\.(1[6-9]|2[0-9]|3[01])\.|100\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\.|f[cd])/i;

/**
 * An address with its templates worked out, as HashiCorp's agents have them: `{{ GetInterfaceIP "eth0" }}`,
 * `{{ GetPrivateIP }}`, `{{ GetPublicIP }}`, `{{ GetPrivateInterfaces | attr "address" }}` and
 * `{{ GetPublicInterfaces | attr "address" }}`. The error says what is not known or not there.
 */
export function resolveAddress(text: string, interfaces: readonly InterfaceAddress[]): Result<string, string> {
  let failure: string | null = null;
  const resolved = text.replace(TEMPLATE, (_, expression: string) => {
    const found = resolveExpression(expression, interfaces);
    if (!found.ok) failure ??= found.error;
    return found.ok ? found.value : '';
  });
  return failure === null ? ok(resolved) : err(failure);
}

function resolveExpression(expression: string, interfaces: readonly InterfaceAddress[]): Result<string, string> {
  const named = /^GetInterfaceIP "([^"]*)"$/.exec(expression);
  if (named) return firstOf(interfaces, ({ name }) => name === named[1], `no interface "${named[1]}" with an address`);
  const isPrivate = ({ address, internal }: InterfaceAddress): boolean => !internal && PRIVATE.test(address);
  const isPublic = ({ address, internal }: InterfaceAddress): boolean =>
    !internal && !PRIVATE.test(address) && !/^(169\.254\.|fe80:)/i.test(address);
  if (/^(GetPrivateIP|GetPrivateInterfaces \| attr "address")$/.test(expression)) {
    return firstOf(interfaces, isPrivate, 'no private address');
  }
  if (/^(GetPublicIP|GetPublicInterfaces \| attr "address")$/.test(expression)) {
    return firstOf(interfaces, isPublic, 'no public address');
  }
  return err(
    `the template {{ ${expression} }} is not known: there are GetInterfaceIP "name", GetPrivateIP, GetPublicIP, and GetPrivateInterfaces or GetPublicInterfaces with | attr "address"`,
  );
}

/** IPv4 before IPv6, as these templates have it. */
function firstOf(
  interfaces: readonly InterfaceAddress[],
  fits: (candidate: InterfaceAddress) => boolean,
  missing: string,
): Result<string, string> {
  const found = interfaces.filter(fits);
  const best = found.find(({ family }) => family === 'IPv4') ?? found[0];
  return best ? ok(best.address) : err(`this machine has ${missing}`);
}
