import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto';

// go-plugin's mutual TLS: both sides make a key for this one plugin process and accept exactly the other's certificate. Node
// reads certificates and cannot make them, so the few structures of RFC 5280 that it takes are written out here.

/** A key and a certificate for it, signed by itself. */
export interface KeyPair {
  keyPem: string;
  certificatePem: string;
}

const DAY_MS = 86_400_000;
/** As long as go-plugin's own: a plugin may run for years. */
const LIFETIME_MS = 30 * 365 * DAY_MS;
/** Clocks that were set back a little do not matter. */
const EARLIER_MS = 60_000;

const OID = {
  commonName: '2.5.4.3',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectAltName: '2.5.29.17',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  basicConstraints: '2.5.29.19',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
};

/** Makes a pair for "localhost", usable on both sides, as go-plugin expects. */
export function makeKeyPair(nowMs: number): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = sequence(oid(OID.ecdsaWithSha256));
  const name = sequence(tlv(0x31, sequence(oid(OID.commonName), tlv(0x0c, Buffer.from('localhost')))));
  const body = sequence(
    tlv(0xa0, integer(Buffer.from([2]))),
    integer(randomBytes(16)),
    algorithm,
    name,
    sequence(time(nowMs - EARLIER_MS), time(nowMs + LIFETIME_MS)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...extensions())),
  );
  const signature = sign('sha256', body, privateKey);
  const certificate = sequence(body, algorithm, bits(signature));
  return { keyPem: pemOfKey(privateKey), certificatePem: pemOfCertificate(certificate) };
}

/** DER as PEM. */
export function pemOfCertificate(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** Whether the bytes are a certificate at all. */
export function isCertificate(der: Buffer): boolean {
  try {
    return new X509Certificate(der).subject !== undefined;
  } catch {
    return false;
  }
}

/** Whether key and certificate, as they were kept on disk, belong together. */
export function isKeyPair({ keyPem, certificatePem }: KeyPair): boolean {
  try {
    return new X509Certificate(certificatePem).checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    return false;
  }
}

function extensions(): Buffer[] {
  const critical = tlv(0x01, Buffer.from([0xff]));
  const extension = (id: string, value: Buffer, ...flags: Buffer[]): Buffer =>
    sequence(oid(id), ...flags, tlv(0x04, value));
  return [
    extension(OID.subjectAltName, sequence(tlv(0x82, Buffer.from('localhost')))),
    // digitalSignature, keyEncipherment, keyAgreement and keyCertSign.
    extension(OID.keyUsage, tlv(0x03, Buffer.from([2, 0b1010_1100])), critical),
    extension(OID.extendedKeyUsage, sequence(oid(OID.clientAuth), oid(OID.serverAuth))),
    // It is its own authority: the other side has no further one to go to.
    extension(OID.basicConstraints, sequence(critical), critical),
  ];
}

function tlv(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}

function sequence(...parts: Buffer[]): Buffer {
  return tlv(0x30, ...parts);
}

/** A positive number: a leading zero keeps the first bit from being a sign. */
function integer(bytes: Buffer): Buffer {
  const start = bytes.findIndex((byte) => byte !== 0);
  const digits = bytes.subarray(Math.max(0, start));
  return tlv(0x02, ((digits[0] ?? 0) & 0x80) !== 0 ? Buffer.concat([Buffer.from([0]), digits]) : digits);
}

function bits(bytes: Buffer): Buffer {
  return tlv(0x03, Buffer.from([0]), bytes);
}

/** GeneralizedTime; up to 2049 a certificate must use UTCTime instead (RFC 5280, 4.1.2.5). */
function time(ms: number): Buffer {
  const text = `${new Date(ms).toISOString().slice(0, 19).replace(/[-T:]/g, '')}Z`;
  return Number(text.slice(0, 4)) < 2050 ? tlv(0x17, Buffer.from(text.slice(2))) : tlv(0x18, Buffer.from(text));
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const groups = [part & 0x7f];
    for (let left = part >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return tlv(0x06, Buffer.from(bytes));
}

function pemOfKey(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}
