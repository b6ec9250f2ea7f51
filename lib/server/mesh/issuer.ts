import type { IssuedCertificate } from '../../state/mesh-commands.js';
import { MeshError } from '../../structs/errors.js';
import type { CertificateChain, MeshInfo, MeshMember } from '../../structs/mesh.js';
import { CHAIN_MAX, claimsOf, issue } from '../../transport/certificate.js';
import { ROOT_WORD_MS } from '../../transport/found.js';
import type { SigningKey } from '../../transport/signature.js';
import type { Millis } from '../../util/clock.js';
import type { ServerWorld } from '../world.js';
import { CERTIFICATE_MS } from './renewal-rules.js';

type About = Pick<MeshMember, 'Key' | 'Name' | 'Role' | 'Tags'>;

/** Signs certificates under serials of its own choosing, which the state checks. */
export interface Issuer {
  /** By this server. Throws E_PERMISSION_DENIED when it may not, saying what to do. */
  issue(about: About): IssuedCertificate;
  /** By the root itself, opened with the recovery code. */
  issueByRoot(root: SigningKey, about: About): IssuedCertificate;
}

export function createIssuer(world: ServerWorld, identity: SigningKey): Issuer {
  // Certificates are proposed in the order in which they are signed, so that the state never sees a serial go back.
  let next = 0;

  function signed(
    about: About,
    { by, chain, notAfter }: { by: SigningKey; chain: CertificateChain; notAfter: Millis },
  ): IssuedCertificate {
    const mesh = world.store.snapshot().mesh() as MeshInfo;
    const serial = Math.max(next, mesh.NextSerial);
    next = serial + 1;
    const { Key, Name, Role, Tags } = about;
    const certificate = issue(
      {
        Version: 1,
        Mesh: mesh.Root,
        Key,
        Name,
        Role,
        Tags,
        Serial: serial,
        NotBefore: world.now(),
        NotAfter: notAfter,
        Issuer: Role === 'server',
        By: by.publicKey,
      },
      by,
    );
    return { key: Key, serial, chain: [certificate, ...chain], notAfter };
  }

  return {
    issue(about) {
      const own = world.store.snapshot().meshMember(identity.publicKey);
      const claims = own?.Status === 'admitted' ? claimsOf(own.Chain[0]) : undefined;
      if (!own || !claims?.Issuer) throw notAnIssuer('this server has no certificate that lets it admit others');
      if (about.Role === 'server' && own.Chain.length >= CHAIN_MAX - 1) {
        throw notAnIssuer(`${CHAIN_MAX - 1} servers stand between this one and the root already`);
      }
      const now = world.now();
      const { NotAfter } = claims;
      if (NotAfter <= now)
        throw notAnIssuer(`the certificate of this server ended at ${new Date(NotAfter).toISOString()}`);
      const notAfter = about.Role === 'server' ? NotAfter : Math.min(now + CERTIFICATE_MS, NotAfter);
      return signed(about, { by: identity, chain: own.Chain, notAfter });
    },
    issueByRoot: (root, about) => signed(about, { by: root, chain: [], notAfter: world.now() + ROOT_WORD_MS }),
  };
}

const notAnIssuer = (why: string): MeshError =>
  new MeshError(
    'E_PERMISSION_DENIED',
    `${why}: let another server lead, or have the root certify the servers anew with "meshnomad mesh reissue" and the recovery code`,
  );
