import { err, ok, type Result } from '../../util/result.js';

/** How a family of plugins and its host know each other. The cookies are no secrets: they stand in every plugin's source. */
export interface Handshake {
  cookieKey: string;
  cookieValue: string;
  /** The versions of the family's protocol that this host speaks. */
  versions: readonly number[];
  /** Whether plugins are given our certificate, and so answer over TLS. Otherwise the folder of their socket keeps other users out. */
  offersTls: boolean;
}

/** Drivers and devices. A driver's children (Nomad's executor) inherit its environment, and end at a certificate that is not for them. */
export const NOMAD_PLUGIN: Handshake = {
  cookieKey: 'NOMAD_PLUGIN_MAGIC_COOKIE',
  cookieValue: 'e4327c2e01eabfd75a8a67adb114fb34a757d57eee7728d857a8cec6e91a7255',
  versions: [2],
  offersTls: false,
};

/** Plugins of the autoscaler. */
export const SCALER_PLUGIN: Handshake = {
  cookieKey: 'NOMAD_AUTOSCALER_PLUGIN_MAGIC_COOKIE',
  cookieValue: 'e082fa04d587a6525d683666fa253d6afda00f20c122c54a80a3ed57fec99ff3',
  versions: [1],
  offersTls: true,
};

/** The version of go-plugin's own protocol. */
const CORE_VERSION = 1;
/** A line of go-plugin with the certificate of an RSA key of 8192 bits is below this. */
export const HANDSHAKE_LINE_MAX = 16_384;
/** Older plugins wrote other things where the certificate stands now; none is as long as one. */
const CERTIFICATE_CHARS_MIN = 50;

/** Where a plugin that has started can be reached. */
export interface PluginAddress {
  network: 'unix' | 'tcp';
  /** A path, or `host:port`. */
  address: string;
  protocolVersion: number;
  /** The certificate it answers with, in DER; null: it was not offered TLS, or has not taken it up. */
  certificate: Buffer | null;
}

/** What a plugin is started with, beside the host's own environment. */
export function handshakeEnv(handshake: Handshake, options: { certificatePem: string }): Record<string, string> {
  return {
    [handshake.cookieKey]: handshake.cookieValue,
    PLUGIN_PROTOCOL_VERSIONS: handshake.versions.join(','),
    PLUGIN_MIN_PORT: '10000',
    PLUGIN_MAX_PORT: '25000',
    ...(handshake.offersTls ? { PLUGIN_CLIENT_CERT: options.certificatePem } : {}),
  };
}

/** Reads the first line that a plugin prints: `CORE|VERSION|NETWORK|ADDRESS|PROTOCOL|CERTIFICATE`. The error goes on behind the plugin's name. */
export function parseHandshake(line: string, handshake: Handshake): Result<PluginAddress, string> {
  const [core = '', version = '', network = '', address = '', protocol = 'netrpc', certificate = ''] = line
    .trim()
    .split('|');
  if (address === '' || !/^\d{1,9}$/.test(core)) {
    return err(`printed ${excerpt(line)} where a plugin says how to reach it: it is no plugin, or prints too early`);
  }
  if (core !== String(CORE_VERSION)) {
    return err(`speaks version ${excerpt(core)} of go-plugin's protocol, not ${CORE_VERSION}; rebuild it`);
  }
  if (!/^\d{1,9}$/.test(version) || !handshake.versions.includes(Number(version))) {
    const own = handshake.versions.join(', ');
    return err(`speaks version ${excerpt(version)} of the plugin protocol; this agent speaks ${own}`);
  }
  if (protocol !== 'grpc') return err(`speaks ${excerpt(protocol)}; only plugins that speak grpc are supported`);
  if (network !== 'unix' && network !== 'tcp') return err(`listens on ${excerpt(network)}, which is not unix or tcp`);
  // A plugin is a process of this machine: an address elsewhere is none of its own.
  if (network === 'tcp' && !/^(127(\.\d{1,3}){3}|\[::1\]|localhost):\d{1,5}$/.test(address)) {
    return err(`listens on ${excerpt(address)}, which is not an address of the loopback interface`);
  }
  if (network === 'unix' && !address.startsWith('/')) return err(`listens on ${excerpt(address)}, no absolute path`);
  const isCertificate = certificate.length > CERTIFICATE_CHARS_MIN;
  return ok({
    network,
    address,
    protocolVersion: Number(version),
    certificate: isCertificate ? Buffer.from(certificate, 'base64') : null,
  });
}

function excerpt(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
